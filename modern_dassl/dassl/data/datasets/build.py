"""The registry of data sets."""

from dassl.utils import Registry, check_availability

from modern_dassl import distributed

DATASET_REGISTRY = Registry("DATASET")


def build_dataset(cfg):
    """The data set DATASET.NAME. Raises ConfigValueError for an unknown name."""
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names(), "DATASET.NAME")
    if cfg.VERBOSE:
        print(f"Loading dataset: {cfg.DATASET.NAME}")
    with distributed.main_first():  # it may write lists of few-shot images for the others to read
        return DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)
