"""features.npz: what any OOD score of a run can be computed from without running it again.

With TEST.KEEP_OUTPUTS a run writes it beside outputs.npz, with the N test images in the same order.
M is the number of training images: the shots of a trainer that uses labels, else the unlabelled
images. Arrays are fp32, scores against negative names fp64.

    test_cosines      (N, K)          unscaled cosines, or logits over the logit scale
    test_features     (N, embedding)  unit vectors
    test_local_score  (N,)            local MCM at temperature 1; if there are class features,
                                      and the image tower is built like OpenAI's
    test_neglabel     (N,)            scores against negative names, with TEST.KEEP_NEGATIVES
    test_tanl         (N,)
    train_features    (M, embedding)  only if some training image is no test image; otherwise
    train_rows        (M,)            rows of the training images among the test images
    train_labels      (M,)            labels of shots, else the classes that the model predicts
    class_features    (K, embedding)  if all images share them
    logit_scale       ()              the model's factor between cosines and logits
    logit_bias        ()              what a SigLIP adds to its logits

Names end with _before or _after (training), except train_rows, logit_scale and logit_bias. An
array that training did not change is written once, as _before.
"""

from pathlib import Path
from zipfile import ZipFile, is_zipfile

import numpy as np

from ueo.files import atomic_path, read_arrays

FEATURES = "features.npz"
AGAIN = "run again with TEST.KEEP_OUTPUTS True and --overwrite"


def write_kept(folder: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write features.npz, whole or not at all; without arrays, remove that of an older run."""
    file = Path(folder, FEATURES)
    if not arrays:
        file.unlink(missing_ok=True)
        return
    unchanged = {
        name
        for name, array in arrays.items()
        if name.endswith("_after")
        and np.array_equal(array, arrays.get(name.replace("_after", "_before")))
    }
    with atomic_path(file) as temporary:
        np.savez(temporary, **{k: v for k, v in arrays.items() if k not in unchanged})


def has_kept(folder: str | Path, negatives: bool = False) -> bool:
    """Whether a run kept its outputs; negatives: the scores against negative names, too."""
    file = Path(folder, FEATURES)
    if not negatives or not is_zipfile(file):
        return file.is_file()  # damage is reported when the file is read
    with ZipFile(file) as archive:
        return "test_neglabel_before.npy" in archive.namelist()


def read_kept(folder: str | Path, when: str = "after") -> dict[str, np.ndarray]:
    """Read what a run kept of its model `when`: "before" or "after" training.

    Names are as above without test_, _before and _after. train_features are always there,
    train_rows only if all training images are test images. Raises DataError if the file is missing
    or damaged.
    """
    file = Path(folder, FEATURES)
    arrays, found = read_arrays(file, AGAIN), {}
    for name in dict.fromkeys(n.removesuffix("_after").removesuffix("_before") for n in arrays):
        chosen = next(n for n in (f"{name}_{when}", f"{name}_before", name) if n in arrays)
        found[name.removeprefix("test_")] = arrays[chosen]
    if "train_features" not in found:
        found["train_features"] = found["features"][found["train_rows"]]
    return found
