"""Load the model of a finished run, or of an export."""

from pathlib import Path

from ueo.inference.adapted_model import AdaptedModel
from ueo.inference.exported_model import ExportedModel, is_export


def load(
    folder: str | Path, device: str = "auto", plugin: str | tuple[str, ...] = ()
) -> AdaptedModel:
    """Load the model of the finished run or export in `folder`. device: "auto", "cpu" or "cuda";
    plugin: Python files that its trainer needs. Raises CheckpointError or DataError if there is no
    such model."""
    kind = ExportedModel if is_export(folder) else AdaptedModel
    return kind(folder, device, (plugin,) if isinstance(plugin, str) else tuple(plugin))
