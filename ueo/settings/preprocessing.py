"""The image preprocessing that a model was trained with.

The model defines it. The configuration and a run's record hold it as INPUT.SIZE, INTERPOLATION,
PIXEL_MEAN, PIXEL_STD and RESIZE_MODE; transforms read only the configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
# how a test image gets SIZE: resize its shorter side and crop the centre; resize both sides and
# ignore the aspect ratio; resize its longer side and pad with black
RESIZE_MODES = ("shortest", "squash", "longest")
# open_clip's "random" picks bicubic or bilinear in training and is bicubic in testing
INTERPOLATIONS = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}


@dataclass(frozen=True)
class Preprocessing:
    """size: (height, width) in pixels; mean, std: of RGB in [0, 1]. Defaults: OpenAI's CLIP."""

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of_open_clip(cls, found: Mapping) -> "Preprocessing":
        """Read open_clip's `preprocess_cfg`; missing values are OpenAI's."""
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
        """Return {key of the configuration: value}."""
        return {
            "INPUT.SIZE": self.size,
            "INPUT.INTERPOLATION": self.interpolation,
            "INPUT.PIXEL_MEAN": list(self.mean),
            "INPUT.PIXEL_STD": list(self.std),
            "INPUT.RESIZE_MODE": self.resize_mode,
        }


def _of_channels(value) -> tuple[float, float, float]:
    return (value,) * 3 if isinstance(value, int | float) else tuple(map(float, value))
