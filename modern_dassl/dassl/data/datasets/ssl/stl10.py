"""STL-10: few labelled and many unlabelled images. Coates et al., AISTATS 2011."""

import os.path as osp
from pathlib import Path

from dassl.data.datasets.base_dataset import DatasetBase, Datum
from dassl.data.datasets.build import DATASET_REGISTRY
from dassl.data.datasets.trees import below_root, labels_in_names
from dassl.utils import ConfigValueError, MissingFileError


@DATASET_REGISTRY.register()
class STL10(DatasetBase):
    """stl10/{train,test,unlabeled}/<anything>_<label>.png, and stl10_binary/fold_indices.txt.

    Line STL10_FOLD (0 to 4) of the latter says which images of train, in the order of names, are
    labelled. A label "none" is -1. ALL_AS_UNLABELED adds these images to the unlabelled ones.
    """

    dataset_dir = "stl10"

    def __init__(self, cfg):
        options = cfg.DATASET
        if not 0 <= options.STL10_FOLD <= 4:
            raise ConfigValueError(f"DATASET.STL10_FOLD must be 0 to 4, not {options.STL10_FOLD}")
        self.dataset_dir = below_root(cfg, self.dataset_dir)
        train = self._read("train")
        train_x = [train[i] for i in self._fold(options.STL10_FOLD)]
        train_u = self._read("unlabeled")
        if options.ALL_AS_UNLABELED:
            train_u = train_u + train_x
        super().__init__(train_x=train_x, train_u=train_u, test=self._read("test"))

    def _fold(self, number: int) -> list[int]:
        file = Path(self.dataset_dir, "stl10_binary", "fold_indices.txt")
        if not file.is_file():
            raise MissingFileError(f"{file}: no such list of folds")
        return [int(index) for index in file.read_text().splitlines()[number].split()]

    def _read(self, split: str) -> list[Datum]:
        return [
            Datum(path, -1 if label == "none" else int(label))
            for path, label in labels_in_names(osp.join(self.dataset_dir, split))
        ]
