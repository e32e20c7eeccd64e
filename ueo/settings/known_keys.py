"""Declarations of the keys that no trainer declares: Dassl's, with Dassl's defaults, and ours."""

from dassl.data.transforms.transforms import AVAI_CHOICES, INTERPOLATION_MODES
from dassl.optim.lr_scheduler import AVAI_SCHEDS
from dassl.optim.optimizer import AVAI_OPTIMS

from ueo.errors import ConfigError
from ueo.settings.options import Option, named
from ueo.settings.preprocessing import RESIZE_MODES

LARGEST_SEED = 2**32 - 1  # NumPy's
MOST_THREADS = 1024  # or processes


def _ascending(values) -> None:
    if list(values) != sorted(values):
        raise ConfigError(f"the smaller number comes first, not {tuple(values)}")


def _odd(value: int) -> None:
    if value % 2 == 0:
        raise ConfigError(f"a blur takes an odd number of pixels, not {value}")


POSITIVE, NOT_NEGATIVE = Option(low=1), Option(low=0)  # int or float, as the default is
SHARE = Option(kind=float, low=0, high=1)
RATE = Option(low=0, kind=float)
BATCH = {"BATCH_SIZE": POSITIVE, "N_INS": POSITIVE, "N_DOMAIN": NOT_NEGATIVE}
DASSL = {
    "OUTPUT_DIR": Option(check=named),
    "SEED": Option(low=-1, high=LARGEST_SEED),
    "INPUT": {
        "SIZE": Option(kind=int, low=1, length=2),
        "INTERPOLATION": Option(choices=INTERPOLATION_MODES),
        "TRANSFORMS": Option(kind=str, choices=AVAI_CHOICES),
        "PIXEL_MEAN": Option(kind=float, length=3),
        "PIXEL_STD": Option(kind=float, above=0, length=3),
        "CROP_PADDING": NOT_NEGATIVE,
        "RRCROP_SCALE": Option(kind=float, above=0, high=1, length=2, check=_ascending),
        "CUTOUT_N": NOT_NEGATIVE,
        "CUTOUT_LEN": NOT_NEGATIVE,
        "GN_STD": NOT_NEGATIVE,
        "RANDAUGMENT_N": NOT_NEGATIVE,
        "RANDAUGMENT_M": Option(low=0, high=30),
        "COLORJITTER_B": NOT_NEGATIVE,
        "COLORJITTER_C": NOT_NEGATIVE,
        "COLORJITTER_S": NOT_NEGATIVE,
        "COLORJITTER_H": Option(low=0, high=0.5),
        "RGS_P": SHARE,
        "GB_P": SHARE,
        "GB_K": Option(low=1, check=_odd),
    },
    "DATASET": {
        "SOURCE_DOMAINS": Option(kind=str),
        "TARGET_DOMAINS": Option(kind=str),
        "NUM_LABELED": Option(low=-1),
        "NUM_SHOTS": Option(low=-1),
        "VAL_PERCENT": SHARE,
    },
    "DATALOADER": {
        "NUM_WORKERS": Option(low=0, high=MOST_THREADS),
        "K_TRANSFORMS": POSITIVE,
        "TRAIN_X": BATCH,
        "TRAIN_U": BATCH,
        "TEST": BATCH,
    },
    "OPTIM": {
        "NAME": Option(choices=AVAI_OPTIMS),
        "LR": RATE,
        "WEIGHT_DECAY": RATE,
        "MOMENTUM": Option(kind=float, low=0, below=1),
        "SGD_DAMPNING": SHARE,
        "RMSPROP_ALPHA": Option(kind=float, low=0, below=1),
        "ADAM_BETA1": Option(kind=float, low=0, below=1),
        "ADAM_BETA2": Option(kind=float, low=0, below=1),
        "NEW_LAYERS": Option(kind=str),
        "BASE_LR_MULT": RATE,
        "LR_SCHEDULER": Option(choices=AVAI_SCHEDS),
        "STEPSIZE": Option(kind=int, low=-1),
        "GAMMA": RATE,
        "MAX_EPOCH": POSITIVE,
        "WARMUP_EPOCH": Option(low=-1),
        "WARMUP_TYPE": Option(choices=("linear", "constant")),
        "WARMUP_CONS_LR": RATE,
        "WARMUP_MIN_LR": RATE,
    },
    "TRAIN": {
        "CHECKPOINT_FREQ": NOT_NEGATIVE,
        "PRINT_FREQ": POSITIVE,
        "COUNT_ITER": Option(choices=("train_x", "train_u", "smaller_one")),
    },
    "TEST": {
        "SPLIT": Option(choices=("val", "test")),
        "FINAL_MODEL": Option(choices=("last_step", "last_val", "best_val")),
    },
}
SHARDED = "UFTShards"  # the data set that reads the keys SHARDS.*
ONLINE = "online"  # the protocol that reads the keys ONLINE.*: docs/online.md
OWN = {
    "INPUT": {
        # how a test image is resized to SIZE; None: shortest, as in Dassl and OpenAI's CLIP
        "RESIZE_MODE": Option(None, kind=str, choices=RESIZE_MODES),
    },
    "DATASET": {
        # label space: a name or an alias of ueo/label_space.py
        "SETTING": Option("open_partial"),
        # "released": test on the whole domain; "independent": on a stored split; "online": one pass
        # over the unlabelled images, see ONLINE
        "PROTOCOL": Option("released", choices=("released", "independent", ONLINE)),
        # stop unless the domain has the published number of images
        "CHECK_COUNTS": Option(True),
        # which known classes: all, base (the first half), new (the rest)
        "SUBSAMPLE_CLASSES": Option("all", choices=("all", "base", "new")),
        # an image that cannot be read: "stop", or "skip" and report it
        "BAD_IMAGES": Option("stop", choices=("stop", "skip")),
        # if labelled shots leave a known class without test images: "stop", or "allow" it
        "UNTESTED_CLASSES": Option("stop", choices=("stop", "allow")),
        # rotate photographs by their EXIF orientation; None: no, as in the published numbers
        "UPRIGHT": Option(None, kind=bool),
        # the user's own images (data sets folder and list), and a file of the known class names
        "PATH": Option(""),
        "NAMES": Option(""),
        # read sub-folders at any depth
        "RECURSIVE": Option(False),
        # folder that caches decoded images; "": .decoded in the data root
        "STORE": Option(""),
        # limit of that cache; None: derived from free space, 0: no cache
        "STORE_GB": Option(None, kind=float, low=0),
        # limit of the images kept on the device; None: from free memory (CPU: 0), 0: none
        "DEVICE_GB": Option(None, kind=float, low=0),
        # resize with Pillow in training too, as in the released code; for checks
        "PLAIN_TRANSFORM": Option(False),
    },
    "ONLINE": {
        # of the stream: as the data set lists the images, at random, in groups that share classes
        # (see GAMMA), or class after class
        "ORDER": Option("shuffled", choices=("listed", "shuffled", "correlated", "classes")),
        # Dirichlet parameter of "correlated": the smaller, the fewer classes at a time
        "GAMMA": Option(0.1, low=1e-4, high=1e4),
        # further domains, which follow the run's own one after another
        "THEN": Option((), kind=str),
        # reset the model to its initial state before each further domain
        "RESET": Option(False),
        # training steps on each batch
        "STEPS": Option(1, low=1),
        # predict a batch "before" or "after" these steps
        "ANSWER": Option("after", choices=("before", "after")),
    },
    "SHARDS": {
        # parts of the images that are read in parallel; a batch has equally many images of each
        "LANES": Option(4, low=1),
        # size of the shuffle buffer in images, for all lanes together
        "SHUFFLE": Option(1000, low=1),
    },
    "MODEL": {
        # use TF32 on CUDA; None: torch's default, in convolutions alone
        "TF32": Option(None, kind=bool),
    },
    "TEST": {
        # write features.npz, from which any OOD score can be computed later
        "KEEP_OUTPUTS": Option(False),
        # add scores against negative labels to it, which encodes some 70,000 words
        "KEEP_NEGATIVES": Option(False),
    },
}
