"""What a stream has come to, kept so that a run that was killed goes on to the same answers."""

import copy
import pickle
from pathlib import Path

import torch
from torch import Tensor

from ueo.errors import CheckpointError
from ueo.files import atomic_path

FILE = "stream.pt"  # in the folder of a run that is not finished
SECONDS = 30.0  # between two times that it is written


def state_of(trainer) -> dict:
    """What steps have changed: tuned parameters, buffers, the optimiser's state. A copy."""
    parts = {"model": trainer.saved_state(), "optimiser": getattr(trainer, "optim", None),
             "scaler": trainer.scaler}
    return {name: copy.deepcopy(part.state_dict()) for name, part in parts.items() if part}


def put_back(trainer, state: dict) -> None:
    """Make `trainer` again what `state_of` found."""
    trainer.saved_state().load_state_dict(state["model"])
    if "optimiser" in state:
        trainer.optim.load_state_dict(copy.deepcopy(state["optimiser"]))
    if "scaler" in state:
        trainer.scaler.load_state_dict(copy.deepcopy(state["scaler"]))


def write(trainer, batches: int, answers: dict[str, list[Tensor]]) -> None:
    """Keep what the first `batches` batches have led to, and their answers."""
    found = {
        "batches": batches, "state": state_of(trainer), "random": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if trainer.device.type == "cuda" else [],
        "answers": {name: torch.cat(parts) for name, parts in answers.items()},
    }
    with atomic_path(Path(trainer.output_dir, FILE)) as temporary:
        torch.save(found, temporary)


def go_on(trainer) -> tuple[int, dict[str, list[Tensor]]]:
    """(number of batches that were answered, their answers), and `trainer` as it was after them;
    (0, {}) where nothing was kept. Raises CheckpointError for a damaged file."""
    path = Path(trainer.output_dir, FILE)
    if not path.is_file():
        return 0, {}
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        put_back(trainer, found["state"])
        torch.set_rng_state(found["random"])
        if found["cuda"]:
            torch.cuda.set_rng_state_all(found["cuda"])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: damaged; remove it, the stream begins again") from error
    print(f"Go on after batch {found['batches']}")
    return found["batches"], {name: [rows] for name, rows in found["answers"].items()}


def done(trainer) -> None:
    Path(trainer.output_dir, FILE).unlink(missing_ok=True)
