"""Open the folder of a finished run, or one that was exported, as a model."""

from pathlib import Path

from ueo.inference.adapted_model import AdaptedModel
from ueo.inference.exported_model import ExportedModel, is_export


def load(
    folder: str | Path, device: str = "auto", plugin: str | tuple[str, ...] = ()
) -> AdaptedModel:
    """The model of the finished run in `folder`, or of the export there. device: "auto", "cpu" or
    "cuda"; plugin: the Python file that its trainer needs, or several. Raises CheckpointError or
    DataError for a folder without one."""
    kind = ExportedModel if is_export(folder) else AdaptedModel
    return kind(folder, device, (plugin,) if isinstance(plugin, str) else tuple(plugin))
