"""What a result depends on besides its configuration: images, names, weights, device, code.

A run's inputs are a flat dictionary {name of the input: short text that identifies its content},
which is kept in its record. A run is skipped or resumed only if its inputs are unchanged, and a
table only holds runs whose inputs agree.
"""

Inputs = dict[str, str]

CLASS_NAMES, IMAGE_LIST, LABELS, IMAGES = "class names", "image list", "labels", "images"
WEIGHTS, DEVICE, PRECISION, TF32, ENGINE = "weights", "device", "precision", "tf32", "engine"
TRAINER_CODE, DATASET_CODE, CHECKPOINT = "trainer code", "data set code", "checkpoint"
START = "MODEL.INIT_WEIGHTS"  # weights that training started from, besides the backbone's
FILES = (START, "DATASET.PATH", "DATASET.NAMES")  # options that name files, for every trainer
OF_DEVICE = (DEVICE, PRECISION, TF32)  # may differ on another machine
OF_DATA = (CLASS_NAMES, IMAGE_LIST, LABELS, IMAGES)  # the same for all runs on one domain
OTHER_ENGINE = (
    "; give each engine an --output of its own, or run those of one again with the other's "
    "(UEO_ENGINE=builtin or UEO_ENGINE=dassl, and --overwrite)"
)


def difference(old: Inputs, new: Inputs) -> str:
    """Return the inputs in which two runs differ, for a message; "" if there are none."""
    return "; ".join(
        f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )
