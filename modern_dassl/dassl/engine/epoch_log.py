"""Log lines and scalars of an epoch; the losses stay on the device until they are logged."""

import datetime
import sys

from dassl.utils.meters import AverageMeter, MetricMeter, check_metrics
from torch import Tensor
from tqdm import tqdm

from modern_dassl.read_numbers import read_numbers


class EpochLog:
    """Averages over the steps of one epoch of `trainer`, whose batch_idx is the current step."""

    def __init__(self, trainer):
        self.trainer = trainer
        self.unread: list[tuple[int, float, dict]] = []  # (step, learning rate, losses)
        self.losses, self.time, self.data = MetricMeter(), AverageMeter(), AverageMeter()

    def add(self, losses: dict | None, data: float, seconds: float) -> None:
        """Add a step. data: seconds to load its batch; seconds: those of the step with loading."""
        trainer = self.trainer
        number = trainer.epoch * trainer.num_batches + trainer.batch_idx
        losses = {n: v.detach() if isinstance(v, Tensor) else v
                  for n, v in check_metrics(losses).items()}
        self.unread.append((number, trainer.get_current_lr(), losses))
        self.data.update(data)
        self.time.update(seconds)
        frequency = trainer.cfg.TRAIN.PRINT_FREQ
        if (trainer.batch_idx + 1) % frequency == 0 or trainer.num_batches < frequency:
            self.read()
            self._print()

    def read(self) -> None:
        """Read the steps' losses from the device, average them, and write the averages."""
        steps, self.unread = self.unread, []
        values = [value for *_, losses in steps for value in losses.values()]
        numbers = iter(read_numbers([value for value in values if isinstance(value, Tensor)]))
        for number, rate, losses in steps:
            self.losses.update({n: next(numbers) if isinstance(v, Tensor) else v
                                for n, v in losses.items()})
            for name, meter in self.losses.meters.items():
                self.trainer.write_scalar(f"train/{name}", meter.avg, number)
            self.trainer.write_scalar("train/lr", rate, number)

    def _print(self) -> None:
        trainer = self.trainer
        left = trainer.num_batches - trainer.batch_idx - 1
        left += (trainer.max_epoch - trainer.epoch - 1) * trainer.num_batches
        eta = datetime.timedelta(seconds=int(self.time.avg * left))
        tqdm.write(  # above the progress bar, if there is one
            f"epoch [{trainer.epoch + 1}/{trainer.max_epoch}] "
            f"batch [{trainer.batch_idx + 1}/{trainer.num_batches}] "
            f"time {self.time.val:.3f} ({self.time.avg:.3f}) "
            f"data {self.data.val:.3f} ({self.data.avg:.3f}) "
            f"{self.losses} lr {trainer.get_current_lr():.4e} eta {eta}",
            file=sys.stdout,
        )
