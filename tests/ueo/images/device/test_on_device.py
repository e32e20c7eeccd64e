"""Images kept on the device give the same batches as images read by worker processes."""

from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import read
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from PIL import Image
from pretended_gpu import pretended_gpu
from torch.utils.data import dataloader

from modern_dassl import distributed, loading
from ueo.errors import DataError
from ueo.images import items
from ueo.images.device import decoded, draws
from ueo.images.device.budget import Budget
from ueo.images.items import Images
from ueo.images.loaders import EndlessLoader, EvaluationLoader, TrainingLoader
from ueo.images.pixel_cache import open_store
from ueo.settings.machine_share import RUNS_ON_GPU

CPU = torch.device("cpu")
SHAPES = [(40, 60), (1, 1), (90, 30), (33, 200), (32, 32), (300, 90), (20, 20)] * 5  # 35 images
BYTES = 3 * sum(h * w for h, w in SHAPES)


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> list:
    """Labelled images in three formats."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    found = []
    for i, shape in enumerate(SHAPES):
        path = folder / f"{i}.{('png', 'jpg', 'tif')[i % 3]}"
        Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8)).save(path)
        found.append(SimpleNamespace(impath=str(path), label=i % 4, domain=i % 2))
    return found


@pytest.fixture
def cfg():
    cfg = get_cfg_default()
    cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION = (32, 32), "bicubic"
    cfg.INPUT.TRANSFORMS = ["random_resized_crop", "random_flip", "normalize"]
    cfg.INPUT.RRCROP_SCALE = (0.5, 1.0)
    cfg.DATALOADER.TRAIN_X.BATCH_SIZE, cfg.DATALOADER.TEST.BATCH_SIZE = 8, 9
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg


def loaders_of(cfg, items, budget: Budget | None, store=None, hide: bool = True):
    """(training loader, evaluation loader)."""
    training = Images(items, build_transform(cfg), hide, store)
    plain = Images(items, build_transform(cfg, is_train=False), hide, store, keep_views=True)
    return (TrainingLoader(training, cfg, CPU, budget),
            EvaluationLoader(plain, cfg, CPU, budget))


def passes(loader, epochs: int = 2) -> list[dict]:
    torch.manual_seed(5)
    return [batch for _ in range(epochs) for batch in loader]


def assert_same(found: list[dict], expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for batch, other in zip(found, expected):
        assert list(batch) == list(other) and list(batch["impath"]) == list(other["impath"])
        for key in ("img", "label", "domain", "index"):
            assert torch.equal(batch[key], other[key]) and batch[key].dtype == other[key].dtype


def without_workers(monkeypatch) -> None:
    def refuse(*_):
        raise AssertionError("worker processes were started")

    monkeypatch.setattr(dataloader, "_MultiProcessingDataLoaderIter", refuse)


@pytest.mark.parametrize("hide", [True, False])
def test_batches_equal_those_of_worker_processes(cfg, listed, monkeypatch, hide):
    """Pixels, order, labels and paths are equal in every epoch, and no worker is started."""
    streamed = loaders_of(cfg, listed, None, hide=hide)
    expected = [passes(loader) for loader in streamed]
    without_workers(monkeypatch)
    cfg.DATALOADER.NUM_WORKERS = 2
    kept = loaders_of(cfg, listed, Budget(CPU, 1.0, 3), hide=hide)
    for loader, batches in zip(kept, expected):
        assert_same(passes(loader), batches)
        assert {label for b in batches for label in b["label"].tolist()} == (
            {-1} if hide else {0, 1, 2, 3})
    assert not torch.equal(expected[0][0]["img"], expected[0][5]["img"])


def test_the_global_random_state_is_the_same_with_and_without_a_device_copy(cfg, listed):
    after = []
    for budget in (None, Budget(CPU, 1.0, 2)):
        for loader in loaders_of(cfg, listed, budget):
            passes(loader)
            after.append(torch.rand(3))
    assert torch.equal(torch.stack(after[:2]), torch.stack(after[2:]))


def test_only_selected_images_are_kept_and_their_crops_are_the_same(cfg, listed):
    chosen = [20, 3, 11, 5, 17, 30, 2, 8, 9]
    found = []
    for budget in (None, Budget(CPU, 1.0, 2)):
        part = loaders_of(cfg, listed, budget)[0].dataset.only(chosen)
        loader = TrainingLoader(part, cfg, CPU, budget)
        found.append(passes(loader))
    assert_same(*found)
    assert len(loader.kept.sizes) == len(chosen)


def test_redrawing_a_few_images_draws_no_crops_of_others(cfg, listed, monkeypatch):
    """A memory of few images starts a new epoch every few steps, so an epoch must be cheap."""
    drawn, found = [], []
    monkeypatch.setattr(decoded, "draw", lambda crop, flips, sizes, seeds: drawn.append(
        len(seeds)) or draws.draw(crop, flips, sizes, seeds))
    for budget in (None, Budget(CPU, 1.0, 2)):
        training = loaders_of(cfg, listed, budget)[0]
        passes(training, 1)
        again = EndlessLoader(training, cfg, CPU)
        again.chosen = [20, 3, 11, 5, 17, 30, 2, 8, 9]
        found.append([*islice(again, 4)])
    assert_same(*found)
    assert drawn == [len(listed), 9, 9]


@pytest.mark.parametrize("rank", [0, 1])
def test_each_process_has_its_share_of_a_batch(cfg, listed, monkeypatch, rank):
    for module in (distributed, loading.distributed):
        monkeypatch.setattr(module, "world_size", lambda: 2)
        monkeypatch.setattr(module, "rank", lambda: rank)
        monkeypatch.setattr(module, "broadcast", lambda tensor: tensor)
    for streamed, kept in zip(loaders_of(cfg, listed, None),
                              loaders_of(cfg, listed, Budget(CPU, 1.0, 2))):
        expected = passes(streamed)
        assert sum(len(batch["index"]) for batch in expected) < 2 * len(listed)
        assert_same(passes(kept), expected)


def test_after_the_first_pass_nothing_is_read(cfg, listed, tmp_path, monkeypatch):
    store = open_store(tmp_path, "a", len(listed), 1)
    kept = loaders_of(cfg, listed, Budget(CPU, 1.0, 2), store)
    expected = [passes(loader, 1) for loader in kept]

    def refuse(*_):
        raise AssertionError("an image was read")

    monkeypatch.setattr(items, "read_image", refuse)
    monkeypatch.setattr(items, "file_version", refuse)
    monkeypatch.setattr(type(store), "get", refuse)
    for loader, batches in zip(kept, expected):
        assert_same(passes(loader, 1), batches)


def test_passes_after_an_interrupted_one_are_complete(cfg, listed):
    expected = passes(loaders_of(cfg, listed, None)[1], 1)
    loader = loaders_of(cfg, listed, Budget(CPU, 1.0, 2))[1]
    for number, _ in enumerate(loader):
        if number == 1:
            break
    assert_same(passes(loader, 2), 2 * expected)


def test_the_copy_is_made_in_chunks(cfg, listed, monkeypatch):
    expected = passes(loaders_of(cfg, listed, None)[0])
    monkeypatch.setattr(decoded, "CHUNK", 30_000)
    loader = loaders_of(cfg, listed, Budget(CPU, 1.0, 2))[0]
    assert_same(passes(loader), expected)
    parts = decoded.chunks(3 * loader.kept.counts, 30_000)
    assert len(parts) > 5 and [p.start for p in parts[1:]] == [p.stop for p in parts[:-1]]
    assert any(3 * loader.kept.counts[p].sum() > 30_000 for p in parts), "no image exceeds a chunk"


# the budget


def test_images_that_do_not_fit_are_streamed_and_one_line_says_so(cfg, listed, capsys):
    views = len(listed) * 32 * 32 * 3
    budget = Budget(CPU, (views + BYTES // 2) / 1e9, 2)
    for streamed, loader in zip(loaders_of(cfg, listed, None), loaders_of(cfg, listed, budget)):
        assert_same(passes(loader), passes(streamed))
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "35 training images (" in said[0] and "do not fit on the device" in said[0]
    assert "DATASET.DEVICE_GB" in said[0] and "(0 worker processes)" in said[0]
    assert said[1].startswith("35 evaluation crops are kept on the device: ")
    assert budget.left() == BYTES // 2


def test_a_budget_of_exactly_the_bytes_needed_is_enough(cfg, listed):
    for size, kept in ((BYTES, True), (BYTES - 1, False)):
        loader = loaders_of(cfg, listed, Budget(CPU, size / 1e9, 1))[0]
        passes(loader, 1)
        assert (loader.kept is not None) == kept


@pytest.mark.parametrize("gigabytes", [None, 0.0])
def test_on_a_cpu_nothing_is_kept_by_default(cfg, listed, capsys, gigabytes):
    for loader in loaders_of(cfg, listed, Budget(CPU, gigabytes, 1)):
        passes(loader, 1)
        assert loader.kept is None
    assert capsys.readouterr().out == ""


def test_runs_share_a_gpus_memory(monkeypatch):
    """They share the free memory. Memory that torch has reserved but does not use is free."""
    for name, found in (("mem_get_info", (20 * 10**9, 80 * 10**9)), ("memory_reserved", 6 * 10**9),
                        ("memory_allocated", 2 * 10**9)):
        monkeypatch.setattr(torch.cuda, name, lambda device, found=found: found)
    assert Budget(torch.device("cuda"), None, 1).left() == 8 * 10**9
    monkeypatch.setenv(RUNS_ON_GPU, "4")
    assert Budget(torch.device("cuda"), None, 1).left() == 2 * 10**9
    assert Budget(torch.device("cuda"), 5.0, 1).left() == 5 * 10**9


@pytest.mark.parametrize("change", [
    {"TRANSFORMS": ["random_resized_crop", "random_flip", "colorjitter", "normalize"]},
    {"INTERPOLATION": "bilinear"},
])
def test_images_whose_transform_has_no_fast_path_are_streamed(cfg, listed, capsys, change):
    for key, value in change.items():
        cfg.INPUT[key] = value
    loader = loaders_of(cfg, listed, Budget(CPU, 1.0, 1))[0]
    assert_same(passes(loader), passes(loaders_of(cfg, listed, None)[0]))
    assert loader.kept is None
    assert "which cannot do this transform: they are read in each" in capsys.readouterr().out


def test_images_too_large_to_resize_exactly_are_streamed(cfg, listed, monkeypatch, capsys):
    monkeypatch.setattr(decoded, "MOST_SHRUNK", 9)  # one image shrinks from 300 to 32 pixels
    loader = loaders_of(cfg, listed, Budget(CPU, 1.0, 1))[0]
    assert_same(passes(loader), passes(loaders_of(cfg, listed, None)[0]))
    assert loader.kept is None and "too large to resize exactly" in capsys.readouterr().out


def test_an_image_whose_size_changed_is_refused(cfg, listed, monkeypatch):
    monkeypatch.setattr(Images, "size", lambda self, position: (10, 10))
    with pytest.raises(DataError, match="was replaced while the run read it"):
        passes(loaders_of(cfg, listed, Budget(CPU, 1.0, 1))[0])


# whole runs


@pytest.mark.parametrize("trainer, kind, options", [
    ("UEO", "rn", ()), ("UEO", "vit", ("DATASET.PROTOCOL", "independent")), ("UPL", "vit", ()),
    ("CoOp", "vit", ("DATASET.NUM_SHOTS", "2")), ("TipAdapter", "vit", ("DATASET.NUM_SHOTS", "2")),
])
def test_a_run_ends_in_the_same_numbers(toy, monkeypatch, trainer, kind, options):
    """Outputs, evaluations and configuration hash are equal with and without a device copy."""
    folders = []
    for name, gigabytes in (("streamed", "0"), ("kept", "0.1")):
        options = (*options, "DATASET.DEVICE_GB", gigabytes)
        status, folder = toy(name, *options, trainer=trainer, kind=kind)
        assert status == 0
        folders.append(folder)
    first, second = (np.load(folder / "outputs.npz") for folder in folders)
    assert first.files == second.files
    assert all(np.array_equal(first[name], second[name]) for name in first.files)
    assert read(folders[0])["evaluations"] == read(folders[1])["evaluations"]
    assert read(folders[0])["config_hash"] == read(folders[1])["config_hash"]


# on a pretended GPU


def test_on_a_gpu_a_batch_needs_no_read_and_no_worker(cfg, listed, monkeypatch):
    expected = [passes(loader) for loader in loaders_of(cfg, listed, None)]
    without_workers(monkeypatch)
    cfg.DATALOADER.NUM_WORKERS = 2
    with pretended_gpu() as gpu:
        device = torch.device("cuda")
        budget = Budget(device, None, 2)
        training = Images(listed, build_transform(cfg), True)
        plain = Images(listed, build_transform(cfg, is_train=False), True, keep_views=True)
        found = []
        for loader in (TrainingLoader(training, cfg, device, budget),
                       EvaluationLoader(plain, cfg, device, budget)):
            first = passes(loader, 1)  # sending the images may wait for the device
            gpu.reset()
            found.append(first + list(loader))
            assert not gpu.reads
            assert sum(gpu.kernels.values()) / len(loader) < 150
        assert all(b[key].is_cuda for b in found[0] for key in ("img", "label", "index"))
    for batches, others in zip(found, expected):
        assert_same(batches, others)
