"""Shared fixtures and helpers: small random CLIPs of both kinds and a small generated data set."""

import os

# before torch: tests compare bit for bit, which only the CPU allows, and fork, which CUDA forbids
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import ueo  # noqa: F401  isort: skip  (makes `dassl` importable)

import copy
import gc
import json
import resource
import sys
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import undrawn
from clip.model import CLIP
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import set_random_seed
from PIL import Image
from safetensors.torch import save_file

from ueo.clip import backbones
from ueo.clip.negatives import names as negative_names
from ueo.clip.negatives import words
from ueo.commands import train
from ueo.datasets.emoji import Emoji
from ueo.grids import fork_server
from ueo.runs import start
from ueo.runs.configure import build_cfg, register
from ueo.trainers.base import CLIPTrainer

REPOSITORY = Path(__file__).resolve().parents[1]
register()

TOY_PLUGIN = REPOSITORY / "tests" / "toy_dataset.py"
# Irregular on purpose, because a regular fixture hides bugs: names of one and of several tokens,
# classes and domains of different sizes, lists in different orders (toy_dataset.py).
CLASSES = ("bike", "desk_lamp", "guitar", "mug", "sun", "teddy_bear")
CLIP_PIXELS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
SIZES = {"red": (9, 7, 12, 8, 10, 11), "blue": (8, 11, 7, 10, 12, 9)}  # images of each class

# a plug-in: the toy set with other labels of the same images
SHUFFLED = """
from dassl.data.datasets import DATASET_REGISTRY, Datum

Toy = DATASET_REGISTRY.get("Toy")


@DATASET_REGISTRY.register(force=True)
class ShuffledToy(Toy):
    def __init__(self, cfg):
        super().__init__(cfg)
        for name in ("_train_u", "_train_x", "_test"):
            part = getattr(self, name)
            setattr(self, name, [Datum(item.impath, other.label, item.domain, item.classname)
                                 for item, other in zip(part, part[::-1])])
"""


# run first, so that no core waits for a slow file at the end
SLOWEST = ("test_grid.py", "test_fifteen_domains.py", "test_guides.py", "test_office_home.py",
           "test_bench.py", "test_torchrun.py", "test_studies.py", "test_scripts.py",
           "test_collapse.py", "test_resume.py", "test_forks.py")


def pytest_collection_modifyitems(items):
    """Move the files above to the front, in this order; all others keep their places."""
    rank = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(SLOWEST)))


def pytest_collection_finish():
    """Exempt all objects made so far from garbage collection: they live until the end anyway."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Use one thread, also in children: tensors are small, and sums must be the same everywhere."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keep the image cache in a temporary folder, not in the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def server_of_undrawn_runs():
    """Skip drawing in the child processes of grids, too. Scripts that a test starts as a user would
    still draw."""
    start_server = fork_server.start

    def start_undrawn(modules=fork_server.PRELOAD):
        start_server((*modules, "undrawn"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fork_server, "start", start_undrawn)
        yield


@pytest.fixture(autouse=True, scope="session")
def backbones_read_once():
    """Read each weight file once per process and copy the model afterwards, as on a GPU. The state
    of torch's random generator is the same as after reading."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "_serves_many_runs", lambda device: True)
        patch.setattr(backbones, "_kept", lru_cache(maxsize=16)(backbones._kept.__wrapped__))
        yield


@pytest.fixture(autouse=True)
def drawn_where_marked(request, monkeypatch):
    """Draw a run's two pictures only in tests marked with `draws`; in others they are empty files
    (undrawn.py)."""
    if request.node.get_closest_marker("draws"):
        monkeypatch.setattr(start, "_draw", undrawn.draw)


def random_clip(kind: str, seed: int = 0) -> CLIP:
    """A small CLIP with random weights: kind "rn" (64 pixels) or "vit" (32 pixels)."""
    model, random_state = _drawn_clip(kind, seed)
    torch.set_rng_state(random_state)
    return copy.deepcopy(model)


@lru_cache
def _drawn_clip(kind: str, seed: int) -> tuple[CLIP, torch.Tensor]:
    """A random CLIP, and the state of torch's random generator after drawing it."""
    torch.manual_seed(seed)
    if kind == "rn":
        model = CLIP(32, 64, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1)
    else:
        model = CLIP(32, 32, 2, 64, 16, 77, 49408, 64, 1, 1)
    with torch.no_grad():
        for name, buffer in model.named_buffers():  # unlike the statistics of any batch
            if "running_mean" in name:
                buffer.uniform_(-0.1, 0.1)
            elif "running_var" in name:
                buffer.uniform_(0.5, 1.5)
        for module in model.visual.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)  # features must not die out
        for name, parameter in model.visual.named_parameters():
            if name.endswith("weight") and ("bn" in name or "ln" in name):
                parameter.uniform_(0.5, 1.5)  # CLIP starts each block's last BatchNorm at zero
        model.token_embedding.weight.mul_(20)  # prompts of different names must differ
    return model.eval(), torch.get_rng_state()


def trainer_names() -> list[str]:
    """Every trainer of this project that needs no stream; a new trainer gets its tests this way."""
    names = TRAINER_REGISTRY.registered_names()
    return [n for n in names if issubclass(kind := TRAINER_REGISTRY.get(n), CLIPTrainer)
            and not kind.online_only]


def size_of(kind: str) -> int:
    return {"rn": 64, "vit": 32}[kind]


def discerning_clip(kind: str, seed: int | None = None) -> CLIP:
    """A random CLIP that predicts every class. The direction that all image features share is
    removed: with it, one class would always win and hide every error in a prediction."""
    seed = {"rn": 2, "vit": 0}[kind] if seed is None else seed
    model, rng, size = random_clip(kind, seed), np.random.default_rng(1), size_of(kind)
    pictures = [Image.fromarray(picture(rng, i % 6, 2 * (i % 2))).resize((size, size))
                for i in range(48)]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor(CLIP_PIXELS)[:, :, None, None]
    with torch.no_grad():
        shared = F.normalize(model.encode_image((images - mean) / std).mean(0), dim=0)
        if kind == "vit":
            model.visual.proj -= model.visual.proj @ torch.outer(shared, shared)
        else:
            last = model.visual.attnpool.c_proj
            last.weight -= torch.outer(shared, shared) @ last.weight
            last.bias -= shared * (shared @ last.bias)
    return model


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> dict[str, str]:
    """Files of both small CLIPs: safetensors for "rn", a torch state dict for "vit"."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {"rn": folder / "rn.safetensors", "vit": folder / "vit.pt"}
    save_file(discerning_clip("rn").state_dict(), paths["rn"])
    torch.save(discerning_clip("vit").state_dict(), paths["vit"])
    return {kind: str(path) for kind, path in paths.items()}


@pytest.fixture(scope="session")
def small_backbones(tmp_path_factory):
    """small_backbones(kind): name of a small open_clip model (small_towers.py), made lazily."""
    folder = tmp_path_factory.mktemp("backbones")

    def name_of(kind: str) -> str:
        from small_towers import folder_of  # importing timm is slow

        place = folder / kind
        return f"open_clip:local-dir:{place if place.exists() else folder_of(kind, place)}"

    return name_of


@pytest.fixture
def pretended_transformers(monkeypatch) -> None:
    """A `transformers` whose tokenisers need no file."""
    from small_towers import AutoTokenizer  # first: open_clip needs the real one

    module = ModuleType("transformers")
    module.AutoTokenizer = AutoTokenizer
    monkeypatch.setitem(sys.modules, "transformers", module)


def picture(rng: np.random.Generator, label: int, tint: int) -> np.ndarray:
    """Noise that shows a class and a domain: (40, 48, 3), uint8."""
    pixels = rng.integers(0, 120, (40, 48, 3)) + 20 * label
    pixels[8 * (label % 3) :, :, tint] += 60
    return pixels.astype("uint8")


@pytest.fixture
def few_words(monkeypatch) -> words.Words:
    """Some of WordNet's words, two of them class names; 60 are chosen as negative names."""
    every = words.candidates()
    nouns = [*every.names[: every.nouns : 180], "guitar", "mug"]
    few = words.Words([*nouns, *every.names[every.nouns :: 150]], len(nouns))
    monkeypatch.setattr(negative_names, "candidates", lambda: few)
    return few


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory) -> str:
    """A data root with the toy set: 6 classes, 2 domains, 7 to 12 small images a class."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for domain, tint in (("red", 0), ("blue", 2)):
        for label, name in enumerate(CLASSES):
            folder = root / "toy" / domain / name
            folder.mkdir(parents=True)
            for i in range(SIZES[domain][label]):
                Image.fromarray(picture(rng, label, tint)).save(folder / f"{i:03}.png")
    return str(root)


@pytest.fixture(scope="session")
def few_emoji(tmp_path_factory) -> str:
    """A read-only data root with a part of the emoji set: 4 training and 2 test pictures per style
    and class."""
    root = tmp_path_factory.mktemp("emoji")
    Emoji.prepare(str(root))
    splits = root / "emoji" / "splits.json"
    few = json.loads(splits.read_text())
    for style in few.values():
        for part, number in (("train", 4), ("test", 2)):
            classes = groupby(sorted(style[part]), key=os.path.dirname)
            style[part] = [path for _, paths in classes for path in islice(paths, number)]
    splits.write_text(json.dumps(few))
    return str(root)


def toy_arguments(root: str, weights: dict, output, kind: str = "rn", trainer: str = "UEO",
                  setting: str = "open", seed: int = 1, epochs: int = 2,
                  plugins: list[str] | None = None, backbone: str = "") -> list[str]:
    """Command line of a quick run on the toy set. backbone: an open_clip model, which knows its
    image size."""
    size = () if backbone else ("INPUT.SIZE", str((size_of(kind),) * 2))
    return [
        "--root", root, "--plugin", str(TOY_PLUGIN), *(plugins or []), "--dataset", "Toy",
        "--trainer", trainer,
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--backbone", backbone or weights[kind], "--domain", "red", "--setting", setting,
        "--seed", str(seed), "--device", "cpu", "--threads", "1", "--output-dir", str(output),
        *size, "OPTIM.MAX_EPOCH", str(epochs),
        "DATALOADER.TRAIN_X.BATCH_SIZE", "16",
    ]


@pytest.fixture
def toy(toy_root, weights, tmp_path):
    """Run the toy job: toy(name, *options, **arguments) -> (exit status, folder)."""
    def run(name: str = "run", *options: str, **arguments):
        folder = tmp_path / name
        root = arguments.pop("root", toy_root)
        status = train.main([*toy_arguments(root, weights, folder, **arguments), *options])
        return status, folder

    return run


def read(folder) -> dict:
    """result.json of a run."""
    return json.loads((Path(folder) / "result.json").read_text())


@pytest.fixture
def build(toy_root, weights, tmp_path):
    """A trainer on the toy set, built but not trained: build(KEY, VALUE, ..., trainer="UEO")."""
    def make(*options, **arguments):
        argv = [*toy_arguments(toy_root, weights, tmp_path / "out", **arguments), *options]
        cfg = build_cfg(train.settings_of(argv))
        cfg.defrost()
        cfg.USE_CUDA = False
        cfg.freeze()
        set_random_seed(cfg.SEED)
        return build_trainer(cfg)

    return make


@contextmanager
def disk(size: int):
    """Limit every file of this process to `size` bytes. Keep the block short: pytest's report is
    limited, too."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)


@contextmanager
def killed_in_epoch(kind: type, epoch: int = 1):
    """Interrupt runs of a trainer class at the start of this epoch."""
    run_epoch = kind.run_epoch

    def killed(self):
        if self.epoch == epoch:
            raise KeyboardInterrupt
        run_epoch(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "run_epoch", killed)
        yield
