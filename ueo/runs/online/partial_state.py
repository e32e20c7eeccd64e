"""The state of a run within a stream or an epoch over shards, saved so that a killed run resumes
with the same results."""

import copy
import pickle
from pathlib import Path

import torch

from ueo.errors import CheckpointError
from ueo.files import atomic_path, saving

FILE = "stream.pt"  # in the folder of a run that is not finished
SECONDS = 30.0  # between two writes of it


def state_of(trainer) -> dict:
    """Return a copy of what steps change: tuned parameters, buffers, and the states of optimiser,
    scaler and, if steps move it, schedule."""
    parts = {"model": trainer.saved_state(), "optimiser": getattr(trainer, "optim", None),
             "scaler": trainer.scaler}
    state = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items() if part}
    if trainer.groups and trainer.options.SCHEDULE != "epoch":
        state["schedule"] = {key: value for key, value in trainer.sched.state_dict().items()
                             if isinstance(value, int | float | list)}
    return state


def put_back(trainer, state: dict) -> None:
    """Restore `trainer` to a state that `state_of` returned."""
    trainer.saved_state().load_state_dict(state["model"])
    if "optimiser" in state:
        trainer.optim.load_state_dict(copy.deepcopy(state["optimiser"]))
    if "scaler" in state:
        trainer.scaler.load_state_dict(copy.deepcopy(state["scaler"]))
    if "schedule" in state:
        trainer.sched.load_state_dict({**trainer.sched.state_dict(), **state["schedule"]})


def write(trainer, batches: int, epoch: int = 0, **further) -> None:
    """Save the state after the first `batches` batches of an epoch or a stream. further: more
    entries for `resume` to return."""
    found = {
        "epoch": epoch, "batches": batches, "state": state_of(trainer),
        "random": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
        **further,
    }
    path = Path(trainer.output_dir, FILE)
    with saving(path), atomic_path(path) as temporary:
        torch.save(found, temporary)


def resume(trainer, epoch: int = 0) -> dict | None:
    """Restore `trainer` to what `write` saved in this epoch, and return all that it saved; None if
    it saved nothing. Raises CheckpointError for a damaged file."""
    path = Path(trainer.output_dir, FILE)
    if not path.is_file():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if found["epoch"] != epoch:
            return None
        put_back(trainer, found["state"])
        torch.set_rng_state(found["random"])
        if found["cuda"]:
            torch.cuda.set_rng_state_all(found["cuda"][: torch.cuda.device_count()])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: damaged; remove it to start the stream again") from error
    print(f"Resume after batch {found['batches']}")
    return found


def remove(trainer) -> None:
    Path(trainer.output_dir, FILE).unlink(missing_ok=True)
