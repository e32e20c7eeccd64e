"""What becomes of an image before a model's image tower sees it, as the model was trained with.

A model says it; the configuration holds it as INPUT.SIZE, INTERPOLATION, PIXEL_MEAN, PIXEL_STD and
RESIZE_MODE, and so does a run's record. Transforms read the configuration alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
# how a test image becomes SIZE: its shorter side is resized and the centre cut out; both sides are,
# whatever its shape was; its longer side is, and the rest is black
RESIZE_MODES = ("shortest", "squash", "longest")
# open_clip's "random" is one of bicubic and bilinear in training, bicubic in testing
INTERPOLATIONS = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}


@dataclass(frozen=True)
class Preprocessing:
    """size: (height, width) in pixels; mean, std: of RGB in [0, 1]. The defaults are OpenAI's."""

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of_open_clip(cls, found: Mapping) -> "Preprocessing":
        """From open_clip's `preprocess_cfg`: what it leaves out is OpenAI's."""
        default = cls()
        size = found.get("size") or default.size
        return cls(
            (size, size) if isinstance(size, int) else tuple(size),
            _of_channels(found.get("mean") or default.mean),
            _of_channels(found.get("std") or default.std),
            INTERPOLATIONS[found.get("interpolation") or default.interpolation],
            found.get("resize_mode") or default.resize_mode,
        )

    def keys(self) -> dict:
        """{key of the configuration: value}."""
        return {
            "INPUT.SIZE": self.size,
            "INPUT.INTERPOLATION": self.interpolation,
            "INPUT.PIXEL_MEAN": list(self.mean),
            "INPUT.PIXEL_STD": list(self.std),
            "INPUT.RESIZE_MODE": self.resize_mode,
        }


def _of_channels(value) -> tuple[float, float, float]:
    return (value,) * 3 if isinstance(value, int | float) else tuple(map(float, value))
