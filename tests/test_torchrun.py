"""Several processes under torchrun end where one process does."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
import warm
from conftest import REPOSITORY, read
from dassl.utils import load_checkpoint
from PIL import Image
from pretended_gpu import pretended_gpu

from modern_dassl import distributed
from ueo.commands import train
from ueo.errors import ConfigError
from ueo.runs import start
from ueo.runs.status import status_of

TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def torchrun(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*TWO, *arguments], env=environment, capture_output=True, text=True, timeout=240
    )


def two_processes(*words: str, timeout: float = 300) -> tuple[list[int], str, str]:
    """Run two processes in the environment that torchrun would give them. Returns (exit statuses,
    stdout, stderr)."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    shared = {**os.environ, "TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "MASTER_PORT": port,
              "MASTER_ADDR": "127.0.0.1"}
    both = [warm.Python(*words, env={**shared, "RANK": i, "LOCAL_RANK": i}) for i in "01"]
    said = [process.communicate(timeout) for process in both]
    return [p.returncode for p in both], *map("".join, zip(*said))


def weights_of(path) -> dict[str, torch.Tensor]:
    return load_checkpoint(str(path))["state_dict"]


def largest_difference(first: dict, second: dict) -> float:
    assert first.keys() == second.keys()
    return max((first[name] - second[name]).abs().max().item() for name in first)


def test_ueo_on_two_processes_equals_one(weights, few_emoji, tmp_path):
    """168 images in 6 batches; the last one has 23, which the processes share as 11 and 12."""
    arguments = [
        "--root", few_emoji, "--trainer", "UEO", "--device", "cpu", "--threads", "1",
        "--dataset-config-file", str(REPOSITORY / "configs/datasets/emoji.yaml"),
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--domain", "fluent", "--setting", "open_partial", "--seed", "1",
        "--backbone", weights["vit"],
    ]
    options = ["INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", "1", "OPTIM.LR", "2e-4",
               "DATALOADER.TRAIN_X.BATCH_SIZE", "29", "DATALOADER.NUM_WORKERS", "0"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert train.main([*arguments, "--output-dir", str(one), *options]) == 0
    done = torchrun(
        str(REPOSITORY / "train.py"), *arguments, "--output-dir", str(two), *options
    )
    assert done.returncode == 0, done.stderr
    first, second = read(one), read(two)
    assert first["counts"]["unlabelled"] == 168
    assert (first["environment"]["processes"], second["environment"]["processes"]) == (1, 2)
    tuned, other = (weights_of(folder / "tuned/model.pth.tar-1") for folder in (one, two))
    assert largest_difference(tuned, other) < 1e-6
    start = torch.load(weights["vit"])
    known = {name: value for name, value in tuned.items() if name in start}
    assert largest_difference(known, {name: start[name] for name in known}) > 1e-4  # tuned
    for name in ("test", "unlabelled"):  # two images that change ranks are 1e-3 of AUROC
        assert first["metrics"][name] == pytest.approx(second["metrics"][name], abs=1e-2)
    assert done.stdout.count("Engine: ") == 1  # one process prints, and it alone keeps the log
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())


SCRIPT = '''
import sys
sys.path.insert(0, {tests!r})
import conftest  # a data set of 33 images and trainers that know nothing of processes
from dassl.config import get_cfg_default
from dassl.engine import build_trainer
from dassl.utils import set_random_seed

cfg = get_cfg_default()
cfg.merge_from_list([
    "TRAINER.NAME", "Plain", "DATASET.NAME", "Specks", "DATASET.ROOT", {images!r},
    "OUTPUT_DIR", sys.argv[1], "INPUT.SIZE", (8, 8), "USE_CUDA", False, "OPTIM.MAX_EPOCH", 3,
    "INPUT.TRANSFORMS", ("random_flip", "random_translation"), "OPTIM.NAME", "sgd",
    "DATALOADER.TRAIN_X.BATCH_SIZE", int(sys.argv[2]), "DATALOADER.NUM_WORKERS", 1,
])
set_random_seed(1)
from dassl.engine import TRAINER_REGISTRY
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class Plain(conftest.LinearX):
    def learn(self, images, labels):
        loss = F.cross_entropy(self.model_inference(images), labels)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {{"loss": loss.item()}}


trainer = build_trainer(cfg)
trainer.train()
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A training script that imports Dassl alone, and its images."""
    folder = tmp_path_factory.mktemp("specks")
    rng = np.random.default_rng(0)
    for label in range(3):
        for i in range(11):
            pixels = rng.integers(0, 120, (8, 8, 3)) + 60 * label
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{label}_{i}.png")
    path = folder / "script.py"
    path.write_text(
        SCRIPT.format(tests=str(REPOSITORY / "tests/modern_dassl"), images=str(folder))
    )
    return path


def test_a_trainer_without_code_for_processes_gives_the_same_result(script, tmp_path):
    """12 images in batches of 4, evaluation on 6 images; processes average their gradients."""
    one = warm.run("-m", "modern_dassl", str(script), str(tmp_path / "one"), "4")
    statuses, out, err = two_processes(
        "-m", "modern_dassl", str(script), str(tmp_path / "two"), "4")
    assert [one.returncode, *statuses] == [0, 0, 0], one.stderr + err
    file = "linear/model.pth.tar-3"
    first, second = weights_of(tmp_path / "one" / file), weights_of(tmp_path / "two" / file)
    assert largest_difference(first, second) < 1e-6
    results = [text[text.index("=> result"):text.index("Elapsed")] for text in (one.stdout, out)]
    assert results[0] == results[1]


def test_batches_that_cannot_be_shared_are_named(script, tmp_path):
    statuses, _, err = two_processes(
        "-m", "modern_dassl", str(script), str(tmp_path / "run"), "5")
    assert all(statuses)
    assert "a batch cannot be shared equally by 2 processes" in err


ONE_FAILS = '''
import os
import sys
import time
import torch
from modern_dassl import distributed
from ueo.errors import DataError
from ueo.runs.status import status_of

torch.distributed.destroy_process_group = lambda: time.sleep(1000)  # NCCL's waits for all


def work():
    distributed.start()
    if not distributed.is_main():
        raise {error}("an image that one process alone reads")
    {main}


sys.exit(status_of(work))
'''


def test_a_process_that_fails_does_not_wait_for_the_others(tmp_path):
    script = ONE_FAILS.format(error="DataError", main="os._exit(0)")
    (tmp_path / "script.py").write_text(script)
    statuses, _, err = two_processes(str(tmp_path / "script.py"), timeout=60)
    assert statuses == [0, 2]
    assert "Error (process 1): an image that one process alone reads\n" in err


def test_torchrun_ends_all_processes_if_one_raises(tmp_path):
    script = ONE_FAILS.format(error="LookupError", main="distributed.barrier()")
    (tmp_path / "script.py").write_text(script)
    done = torchrun(str(tmp_path / "script.py"))
    assert done.returncode == 1
    assert "LookupError: an image that one process alone reads\n" in done.stderr


def test_more_processes_than_gpus_are_one_line(monkeypatch, capsys):
    def gather(found, own):
        found[:] = [own, not own]  # the other process has what this one lacks

    for name, value in (("TORCHELASTIC_RUN_ID", "1"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *args, **options: None)
    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    monkeypatch.setattr(distributed.atexit, "register", lambda *_: None)
    assert status_of(distributed.start) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "2 processes were started, but only 1 of them have a GPU" in line


@pytest.mark.parametrize("asked", [["--device", "cpu"], ["USE_CUDA", "False"]])
def test_processes_on_the_cpu_see_no_gpu(monkeypatch, few_emoji, tmp_path, asked):
    """With more processes than GPUs, only some would have one."""
    seen = []
    for name, value in (("TORCHELASTIC_RUN_ID", "1"), ("WORLD_SIZE", "2"), ("RANK", "0"),
                        ("CUDA_VISIBLE_DEVICES", "0")):
        monkeypatch.setenv(name, value)

    def look(*_):
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        raise ConfigError("enough")

    monkeypatch.setattr(start, "set_up_torch", look)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen.append("asked"))  # too early
    argv = ["--root", few_emoji, "--trainer", "UEO", "--output-dir", str(tmp_path / "run"),
            "--dataset-config-file", str(REPOSITORY / "configs/datasets/emoji.yaml"),
            "--domain", "fluent", "--seed", "1", *asked]
    assert train.main(argv) == 2 and seen == [""]


def test_rows_of_a_batch_are_gathered_without_reading_the_gpu(monkeypatch):
    """The batch itself needs two reads: how many images each process has, and which."""
    def gather(parts: list[torch.Tensor], own: torch.Tensor) -> None:
        parts[0].copy_(own)
        parts[1].copy_(own + 3 if len(own) == 3 else own)  # the next images, or a count

    for name, value in (("launched", True), ("world_size", 2), ("rank", 0), ("start", None)):
        monkeypatch.setattr(distributed, name, lambda value=value: value)
    monkeypatch.setattr(torch.distributed, "all_gather", gather)
    with pretended_gpu() as gpu:
        index = torch.arange(3, device="cuda")
        features = torch.zeros(3, 2, device="cuda", requires_grad=True)
        gpu.reset()
        whole = distributed.WholeBatch.of(index)
        assert sum(gpu.reads.values()) == 2
        gpu.reset()
        (whole.rows(features) * torch.arange(6.0, device="cuda")[:, None]).sum().backward()
        assert not gpu.reads
        assert features.grad.cpu().tolist() == [[0, 0], [2, 2], [4, 4]]  # times two processes
