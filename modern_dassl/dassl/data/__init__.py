"""Data sets, transforms, samplers and loaders."""

import modern_dassl.torchvision_alone  # noqa: F401  isort: skip  (before all that needs torchvision)

from dassl.data.data_manager import DataManager, DatasetWrapper
