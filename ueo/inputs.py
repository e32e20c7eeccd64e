"""What a result depends on besides its configuration: images, names, weights, device, code.

A run's inputs are a flat dictionary {name of the input: a short text that identifies its content}.
A record keeps it. What is finished or interrupted counts only for a run with the same inputs, and
one table holds only runs whose inputs agree.
"""

Inputs = dict[str, str]

CLASS_NAMES, IMAGE_LIST, LABELS, IMAGES = "class names", "image list", "labels", "images"
WEIGHTS, DEVICE, PRECISION, TF32, ENGINE = "weights", "device", "precision", "tf32", "engine"
TRAINER_CODE, DATASET_CODE, CHECKPOINT = "trainer code", "data set code", "checkpoint"
START = "MODEL.INIT_WEIGHTS"  # what the model started from, if not from the backbone alone
FILES = (START, "DATASET.PATH", "DATASET.NAMES")  # options of every trainer that name files
OF_DEVICE = (DEVICE, PRECISION, TF32)  # another machine may have others
OF_DATA = (CLASS_NAMES, IMAGE_LIST, LABELS, IMAGES)  # the same for all runs on one domain
OTHER_ENGINE = (
    "; give each engine an --output of its own, or run those of one again with the other's "
    "(UEO_ENGINE=builtin or UEO_ENGINE=dassl, and --overwrite)"
)


def difference(old: Inputs, new: Inputs) -> str:
    """The inputs in which two runs differ, by name, for a message; "" where there is none."""
    return "; ".join(
        f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )
