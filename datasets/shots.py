"""Take labelled shots out of the test set. Each known class must keep a test image, unless
DATASET.UNTESTED_CLASSES allows otherwise."""

from dassl.data.datasets import Datum

from ueo.errors import ConfigError
from ueo.names import enumeration


def take_shots(dataset, labelled: list[Datum], tested: list[Datum], shots: int, policy: str
               ) -> tuple[list[Datum], list[Datum], int]:
    """Return (labelled shots, test images without them, how many left the test set).

    dataset: the UFTDataset, which draws the shots. Raises ConfigError if all test images of a known
    class are shots, unless `policy` is "allow"; and if this is so for all known classes.
    """
    if shots < 1:
        return labelled, tested, 0
    labelled = dataset.generate_fewshot_dataset(labelled, num_shots=shots)
    used = {item.impath for item in labelled}
    kept = [item for item in tested if item.impath not in used]
    lost = sorted({item.label for item in tested} - {item.label for item in kept})
    known = len(dataset.space.known)
    if not lost or policy == "allow" and len(lost) < known:
        return labelled, kept, len(tested) - len(kept)
    what = f"all {len(tested)} test images are labelled shots"
    if kept:
        names = enumeration([dataset.class_list[label] for label in lost])
        what = (f"labelled shots are the last test images of {len(lost)} of {known} known classes "
                f"({names}), PACC would be the mean over the others")
    allowing = ", or allow it with DATASET.UNTESTED_CLASSES allow" if len(lost) < known else ""
    raise ConfigError(
        f"DATASET.NUM_SHOTS: {what}; take fewer shots, or --protocol independent, whose shots are "
        f"no test images{allowing}"
    )
