"""Write scalars of a run to a tensorboard log, if tensorboard is installed."""

from modern_dassl import distributed


class ScalarLog:
    """Writes nothing before `init_writer` is called."""

    _writer = None

    def init_writer(self, log_dir: str) -> None:
        """Open a tensorboard log; do nothing without tensorboard."""
        if self._writer is not None or not distributed.is_main():
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        print(f"Initialize tensorboard (log_dir={log_dir})")
        self._writer = SummaryWriter(log_dir=log_dir)

    def close_writer(self) -> None:
        """Close the tensorboard log."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write_scalar(self, tag: str, scalar_value, global_step: int | None = None) -> None:
        """Write a number to the tensorboard log, if there is one."""
        if self._writer is not None and scalar_value is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)
