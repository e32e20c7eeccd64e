"""A run's negative names, which no class has: chosen once, encoded like class names, compared.

They are chosen by the model that a run starts with. Their features follow what it learns: they get
the learnt context, as class names do, and are encoded by the tuned text tower. Two kinds of method
keep the initial features: those whose contexts or prompts belong to one class or image, and those
whose logits are more than cosines of class features (`bound`).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ueo.clip.model import PromptedCLIP
from ueo.clip.negatives import scores
from ueo.clip.negatives.mining import mine, nearness, shuffled
from ueo.clip.negatives.words import Words, candidates, readable
from ueo.clip.prompts import PromptEnsemble, PromptLearner
from ueo.errors import ConfigError
from ueo.files import atomic_path, read_arrays
from ueo.open_set import otsu_threshold
from ueo.scores import NEGLABEL

FILE = "negative_names.npz"  # in the folder of a run with such a score
BATCH = 512  # names encoded at once
Prompts = Callable[[list[str]], PromptLearner | PromptEnsemble]
Keep = Callable[[str, Callable[[], np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class NegativeNames:
    """names: M, in the order of their groups. features: (M, embedding), like class features.
    bound: cosines are inner products with image features, without the adapter. activated: positions
    of names, the most activated first; None unless `activate` was called."""

    names: list[str]
    features: Tensor
    bound: bool
    activated: Tensor | None = None

    def cosines(self, model: PromptedCLIP, features: Tensor) -> Tensor:
        """Return unscaled cosines (batch, M), fp32. features: (batch, embedding), of images."""
        names = self.features.to(features)
        return (features @ names.T if self.bound else model.cosines(features, names)).float()

    def score(self, name: str, model: PromptedCLIP, features: Tensor, cosines: Tensor,
              padded: bool = True) -> Tensor:
        """Return (batch,), fp64, the score `name` of AGAINST_NAMES. features: as for `cosines`;
        cosines: (batch, K), with classes; padded: compute by model.padded."""

        def function(features: Tensor, known: Tensor) -> Tensor:
            negatives = self.cosines(model, features)
            if name == NEGLABEL:
                return scores.neglabel(known, negatives, model.logit_scale)
            activated = negatives[:, self.activated.to(negatives.device)]
            return scores.tanl(known, activated, model.logit_scale)

        known = cosines.float().to(features.device)
        return model.padded(function, features, known) if padded else function(features, known)

    def scores(self, name: str, model: PromptedCLIP, features: Tensor, cosines: Tensor,
               batch: int) -> Tensor:
        """Return `score` of any number of images, on the CPU, computed `batch` at a time."""
        return torch.cat([self.score(name, model, *part).cpu()
                          for part in _batches(model, features, cosines, batch)])

    def activate(self, model: PromptedCLIP, features: Tensor, cosines: Tensor, batch: int
                 ) -> "NegativeNames":
        """Return a copy with the names in the order of their activation by these images.

        Paper: in a stream, over all words, starting from noise images. Here: by all images at once,
        over the names that NegLabel keeps; the threshold is Otsu's on NegLabel's score.
        """
        found = self.scores(NEGLABEL, model, features, cosines, batch)
        known, unknown = scores.confident(found, otsu_threshold(found.numpy()))
        activation = torch.zeros(len(self.names), dtype=torch.float64)
        for sign, chosen in ((1, unknown), (-1, known)):
            for part, cos in _batches(model, features[chosen], cosines[chosen], batch):
                negatives = model.padded(lambda rows: self.cosines(model, rows), part)
                shares = scores.mass(cos.float().to(part.device), negatives, model.logit_scale)
                activation += sign * shares.double().sum(0).cpu() / int(chosen.sum())
        order = activation.argsort(descending=True, stable=True)
        return replace(self, activated=order[: scores.ACTIVATED])

    def write(self, folder: str | Path) -> None:
        """Write FILE into the folder of a run; its predictions need it."""
        arrays = {"names": np.array(self.names), "bound": np.array(self.bound),
                  "features": self.features.float().cpu().numpy()}
        if self.activated is not None:
            arrays["activated"] = self.activated.numpy()
        with atomic_path(Path(folder, FILE)) as temporary:
            np.savez(temporary, **arrays)


def read(folder: str | Path) -> NegativeNames:
    """Read what `write` wrote. Raises DataError for a missing or damaged file."""
    arrays = read_arrays(Path(folder, FILE), "train the model again",
                         ("names", "bound", "features"))
    activated = arrays.get("activated")
    return NegativeNames(arrays["names"].tolist(), torch.from_numpy(arrays["features"]),
                         bool(arrays["bound"]),
                         None if activated is None else torch.from_numpy(activated))


class NamesOfRun:
    """The negative names of a model in training; to be created before its first step.

    classnames: of the K classes. prompts: names -> their prompts, with the model's context, or with
    the data set's template if contexts are class-specific. bound: see the top of this file.
    keep: (key, function that makes an array) -> that array, cached across runs.
    """

    def __init__(self, model: PromptedCLIP, classnames: list[str], prompts: Prompts, bound: bool,
                 keep: Keep):
        self.model, self.prompts, self.classnames = model, prompts, classnames
        self._classes = self._encode(classnames)
        words, features = self._candidates(keep)
        kept = mine(nearness(features, self._classes.float().cpu()), words.nouns)
        if not len(kept):
            raise ConfigError(
                f"a score against negative names: this backbone can read only {len(words.names)} "
                "words; take another score, such as mcm"
            )
        kept = kept[shuffled([words.names[i] for i in kept])]
        names = [words.names[i] for i in kept]
        self.start = NegativeNames(names, features[kept], bound)
        print(f"Negative names: {len(names):,}, the farthest from all classes of "
              f"{len(words.names):,} words of WordNet")

    def now(self) -> NegativeNames:
        """Return the names with their features by the current model."""
        # if the features of class names are unchanged, so are these
        if self.start.bound or torch.equal(self._encode(self.classnames), self._classes):
            return self.start
        return replace(self.start, features=self._encode(self.start.names).float().cpu())

    def _encode(self, names: list[str]) -> Tensor:
        return encode(self.model, names, self.prompts)

    def _candidates(self, keep: Keep) -> tuple[Words, Tensor]:
        """Return the words that the model can read and that no class has as its name, and their
        features (W, embedding), fp32, on the CPU."""
        words = candidates()
        key = f"negative names {words.identity} {self._text_hash()}"
        features = torch.from_numpy(keep(key, lambda: self._features(words.names)))
        read = (features != 0).any(1)
        if unread := int((~read).sum()):
            print(f"Negative names: {unread:,} of {len(read):,} words are left out, because this "
                  "backbone has no embedding for one of their tokens")
        taken = {name.replace("_", " ").lower() for name in self.classnames}
        free = read & torch.tensor([name not in taken for name in words.names])
        names = [name for name, is_free in zip(words.names, free.tolist()) if is_free]
        return Words(names, int(free[: words.nouns].sum())), features[free]

    def _features(self, names: list[str]) -> np.ndarray:
        """Return (names, embedding), fp32; zeros for names that the model cannot read."""
        found = np.zeros((len(names), self.model.embedding), np.float32)
        rows = readable(names, self.model.backbone).numpy()
        found[rows] = self._encode([names[i] for i in rows.nonzero()[0]]).float().cpu().numpy()
        return found

    def _text_hash(self) -> str:
        """Return a hash of all that a name's feature depends on besides the name."""
        prompt = [member() for member in self.prompts(["name"]).members()]
        state = [*prompt, *self.model.text_encoder.state_dict().values(),
                 self.model.token_embedding.weight]
        digest = hashlib.sha256(f"{self.model.fast} {self.model.dtype}".encode())
        for tensor in state:
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


@torch.no_grad()
def encode(model: PromptedCLIP, names: list[str], prompts: Prompts) -> Tensor:
    """Return (names, embedding), as `PromptedCLIP.class_features` does for classes so named."""
    starts = range(0, len(names), BATCH)
    quiet = True if len(starts) == 1 else None  # None: unless it is a terminal
    return torch.cat([
        torch.stack([F.normalize(model.encode(member)[0], dim=-1)
                     for member in prompts(names[i : i + BATCH]).members()]).mean(0)
        for i in tqdm(starts, desc="encode names", unit_scale=BATCH, leave=False, disable=quiet)
    ])


def _batches(model: PromptedCLIP, features: Tensor, cosines: Tensor, size: int
             ) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of features (images, embedding), on the model's device and in its dtype, and of
    cosines (images, K)."""
    device = model.token_embedding.weight.device
    for start in range(0, len(features), size):
        rows = slice(start, start + size)
        yield features[rows].to(device, model.dtype), cosines[rows]
