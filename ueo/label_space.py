"""Label spaces of unsupervised universal fine-tuning (UEO, arXiv:2308.12919, section 3).

L_p are the class names given to the classifier, L_u the classes of the unlabelled images. Settings:
    closed:       L_p = L_u
    partial:      L_u lacks some known classes
    open:         L_u has further classes
    open_partial: both
    all:          every class is known
    as_is:        L_u has every class; for a user's own images
The test set always has every class, including OOD classes that are not in L_u.
"""

from dataclasses import dataclass

from ueo.errors import ConfigError
from ueo.names import did_you_mean

STANDARD_SETTINGS = ("closed", "partial", "open", "open_partial")  # those of the paper
SETTINGS = (*STANDARD_SETTINGS, "all", "as_is")  # in the order of tables
ALIASES = {
    "CDA": "closed",
    "PDA": "partial",
    "ODA": "open",
    "OPDA": "open_partial",
    "CSDA": "all",
    "open-partial": "open_partial",
}


@dataclass(frozen=True)
class ClassCounts:
    """Sizes of the parts of an ordered list of classes, the known classes first.

    total:        all classes.
    known:        L_p, the first classes.
    partial:      how many of the first known classes are in L_u under "partial".
    open_partial: the same under "open_partial".
    seen_ood:     how many of the first unknown classes are in L_u under "open" and "open_partial".
    """

    total: int
    known: int
    partial: int
    open_partial: int
    seen_ood: int

    def __post_init__(self):
        """Raise ConfigError for inconsistent numbers."""
        fit = (1 <= self.partial <= self.known and 1 <= self.open_partial <= self.known
               and 0 <= self.seen_ood <= self.total - self.known)
        if not fit:
            raise ConfigError(
                f"{self}: partial and open_partial must be from 1 to known, known + seen_ood at "
                "most total"
            )

    def ends(self) -> list[int]:
        """Return the end (last id + 1) of each block into which label spaces split the classes."""
        return sorted({self.partial, self.open_partial, self.known, self.known + self.seen_ood,
                       self.total})


@dataclass(frozen=True)
class LabelSpace:
    """Class ids of one setting. Ids 0..K-1 are known, ids from K on are out-of-distribution."""

    setting: str
    known: tuple[int, ...]
    unlabelled: tuple[int, ...]
    test: tuple[int, ...]


def parse_setting(name: str) -> str:
    """Return the canonical name of a setting or an alias. Raises ConfigError for any other name."""
    setting = ALIASES.get(name, ALIASES.get(name.upper(), name))
    if setting not in SETTINGS:
        raise ConfigError(
            f"DATASET.SETTING: {name!r} is not a label space"
            f"{did_you_mean(name, [*SETTINGS, *ALIASES])}; known: {', '.join(SETTINGS)}"
        )
    return setting


def subsample(space: LabelSpace, which: str) -> LabelSpace:
    """Return the label space without the other half of its known classes, for `which` "base" or
    "new"; unchanged for "all". "base" is the first half and the larger one, as in CoOp.

    Raises ConfigError for too few classes.
    """
    if which == "all":
        return space
    half = (len(space.known) + 1) // 2
    left_out = set(space.known[half:] if which == "base" else space.known[:half])
    known, unlabelled, test = (
        tuple(label for label in part if label not in left_out)
        for part in (space.known, space.unlabelled, space.test)
    )
    if not known or not unlabelled:
        raise ConfigError(f"DATASET.SUBSAMPLE_CLASSES {which}: no class is left to adapt to")
    return LabelSpace(space.setting, known, unlabelled, test)


def label_space(counts: ClassCounts, setting: str) -> LabelSpace:
    """Return the known, unlabelled and test classes of `setting` (a name or an alias)."""
    setting = parse_setting(setting)
    everything = tuple(range(counts.total))
    if setting == "all":
        return LabelSpace(setting, everything, everything, everything)
    known = everything[: counts.known]
    seen_ood = everything[counts.known : counts.known + counts.seen_ood]
    unlabelled = {
        "closed": known,
        "partial": known[: counts.partial],
        "open": known + seen_ood,
        "open_partial": known[: counts.open_partial] + seen_ood,
        "as_is": everything,
    }[setting]
    return LabelSpace(setting, known, unlabelled, everything)
