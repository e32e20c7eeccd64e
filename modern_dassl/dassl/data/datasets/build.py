"""The registry of data sets."""

from dassl.utils import Registry, check_availability

from modern_dassl import distributed

DATASET_REGISTRY = Registry("DATASET")


def build_dataset(cfg):
    """Build the data set DATASET.NAME. Raise ConfigValueError for an unknown name."""
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names(), "DATASET.NAME")
    if cfg.VERBOSE:
        print(f"Loading dataset: {cfg.DATASET.NAME}")
    with distributed.main_first():  # it may write few-shot lists that the others read
        return DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)
