"""Data sets, transforms, samplers and loaders."""

import modern_dassl.torchvision_alone  # noqa: F401  isort: skip  (before all that needs torchvision)

from dassl.data.data_manager import DataManager, DatasetWrapper

from modern_dassl.lent_names import lend_below

lend_below(__name__)
