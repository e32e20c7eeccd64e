"""Runs are forked from a server that has not initialised CUDA, and share the GPUs."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import clip
import forked
import pytest
import torch
import warm
from conftest import REPOSITORY

from ueo.commands import module_of
from ueo.commands.__main__ import WITH_MANY_RUNS
from ueo.grids import execute as execute_module
from ueo.grids import gpus, parallel, slot
from ueo.grids.fork_server import PRELOAD
from ueo.grids.grid_settings import PlannedRun
from ueo.pairs.pool import Pairs, pair_loader


def runs_in(folder: Path, count: int) -> list[PlannedRun]:
    places = [folder / str(i) for i in range(count)]
    return [PlannedRun(str(place), place, f"run {place.name}") for place in places]


def found(run: PlannedRun) -> dict:
    return json.loads((run.folder / "found.json").read_text())


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """The modules are found from any folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", WITH_MANY_RUNS)
def test_runs_that_a_command_forks_can_use_cuda(command, tmp_path, monkeypatch, capsys):
    """The fork happens with the modules that the command really imports before it."""
    (probe,), execute = runs_in(tmp_path, 1), parallel.execute

    def execute_probe(runs, entry, workers, preload, devices=()):
        assert runs and preload == PRELOAD
        return execute([probe], forked.note, workers, preload, devices)

    monkeypatch.setattr(parallel, "execute", execute_probe)
    monkeypatch.setattr(execute_module, "fetch_missing", lambda *_: None)
    script = module_of(command)
    own = [] if command == "bench" else ["emoji", "--seed", "1"]
    assert script.main([*own, "--output", str(tmp_path / "output")]) == 0
    assert not capsys.readouterr().err
    assert set(PRELOAD) <= set(found(probe)["imported"])
    assert not found(probe)["bad_fork"]


@pytest.fixture(scope="module")
def imports() -> list[str]:
    """Whether a command imports torch's compiler, and which functions of torch.cuda the server's
    modules call on import. Works in builds without CUDA, too."""
    code = (
        "import sys, torch, importlib\n"
        "asked = []\n"
        "for name in ('is_available', 'device_count', '_lazy_init', 'current_device'):\n"
        "    known = getattr(torch.cuda, name)\n"
        "    spy = lambda *a, name=name, known=known, **k: asked.append(name) or known(*a, **k)\n"
        "    setattr(torch.cuda, name, spy)\n"
        "import ueo.commands.train\n"
        "print('torch._dynamo' in sys.modules)\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(asked)"
    )
    done = python(code, *PRELOAD)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-2:]


def test_no_import_before_the_fork_asks_for_cuda(imports):
    assert imports[1] == "[]"


def test_a_command_starts_without_the_compiler(imports):
    """Importing it takes as long as torch itself; torchvision would do so."""
    assert imports[0] == "False"


def test_torchvision_still_gets_the_compilers_answer():
    from torchvision.ops import roi_align  # a function, as torchvision exports it

    asked = sys.modules[roi_align.__module__].is_compile_supported
    from torch._dynamo.utils import is_compile_supported

    assert asked("cpu") == is_compile_supported("cpu")
    assert asked("meta") == is_compile_supported("meta")


@pytest.mark.skipif(not hasattr(torch._C, "_cuda_isInBadFork"), reason="torch without CUDA")
def test_a_run_whose_server_initialised_cuda_is_refused_in_one_line(tmp_path):
    (tmp_path / "asks.py").write_text("import torch\ntorch.cuda.is_available()\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "sys.path.append(sys.argv[1])\n"
        "import forked\n"
        "from pathlib import Path\n"
        "from ueo.grids.grid_settings import PlannedRun\n"
        "from ueo.grids.parallel import execute\n"
        "for name, devices in (('gpu', ['0']), ('cpu', [])):\n"
        "    run = PlannedRun(sys.argv[1], Path(sys.argv[1], name), name)\n"
        "    for failure in execute([run], forked.note, 1, ['asks'], devices, print):\n"
        "        print('FAILED', failure.message)\n"
    )
    done = warm.run(str(script), str(tmp_path))
    gpu, message, cpu = done.stdout.splitlines()
    assert message == f"FAILED Error: {slot.CUDA_INITIALISED}" and "--device cpu" in message
    assert message.removeprefix("FAILED ") in gpu and "Error" not in cpu


def test_clip_itself_still_loads_onto_cuda_where_there_is_some(weights, monkeypatch):
    model, _ = clip.load(weights["vit"])
    if not torch.cuda.is_available():
        assert {p.device.type for p in model.parameters()} == {"cpu"}
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    moved = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: moved.append(device) or self)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    clip.load(weights["vit"])
    clip.load(weights["vit"], "cpu")
    clip.clip.load(weights["vit"], device="cuda:1")
    assert moved == ["cuda", "cpu", "cuda:1"]


@pytest.mark.parametrize(("visible", "count", "names"), [
    (None, 0, []), (None, 2, ["0", "1"]), ("", 0, []), ("2,5", 2, ["2", "5"]),
    ("GPU-a, GPU-b", 2, ["GPU-a", "GPU-b"]), ("0,9", 1, ["0"]),
])
def test_gpus_are_those_that_the_user_left_visible(visible, count, names, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert gpus.visible("auto") == names
    assert gpus.visible("cpu") == []
    cores = min(os.cpu_count(), 8)
    assert gpus.worker_count(0, "auto") == (count or cores)
    assert gpus.worker_count(0, "cpu") == cores
    assert gpus.worker_count(5, "auto") == 5


def test_runs_take_the_gpu_that_the_fewest_others_use():
    used, devices = [], ["2", "5", "7"]
    for _ in range(7):
        used.append(gpus.least_used(devices, used))
    assert [used.count(gpu) for gpu in devices] == [3, 2, 2]
    assert gpus.least_used(devices, ["2", "7"]) == "5"
    assert gpus.least_used([], []) == ""


def test_each_run_sees_its_own_gpu_and_a_single_gpu_stays_as_set(tmp_path):
    runs = runs_in(tmp_path, 3)
    assert parallel.execute(runs[:2], forked.note, 2, PRELOAD, ["4", "GPU-b"]) == []
    assert [found(run)["visible"] for run in runs[:2]] == ["4", "GPU-b"]
    assert parallel.execute(runs[2:], forked.note, 2, PRELOAD, ["4"]) == []
    assert found(runs[2])["visible"] == os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize(("workers", "devices", "shares"), [
    (3, ["0", "1"], ["3", "2"]), (2, [], ["2", "2"]), (8, ["0"], ["4", "4"]),
])
def test_runs_know_how_many_share_the_machine(workers, devices, shares, tmp_path):
    """No more than there are runs."""
    runs = runs_in(tmp_path, 4)
    assert parallel.execute(runs, forked.note, workers, PRELOAD, devices) == []
    assert all(found(run)["shares"] == shares for run in runs)


def test_workers_of_loaders_start_as_in_a_single_run(tmp_path):
    """If a run had its own fork server, loader workers would outlive a killed run."""
    (run,) = runs_in(tmp_path, 1)
    assert parallel.execute([run], forked.note, 1, PRELOAD) == []
    assert found(run)["start_method"] == multiprocessing.get_start_method()


def test_workers_of_loaders_never_touch_cuda(build, monkeypatch):
    """They are forked from a run that has initialised CUDA."""
    parent = os.getpid()

    def only_in_the_run(function):
        def guarded(*arguments, **options):
            assert os.getpid() == parent, "a loader's worker asked CUDA"
            return function(*arguments, **options)

        return guarded

    for module, name in ((torch.cuda, "is_available"), (torch.cuda, "device_count"),
                         (torch.cuda, "_lazy_init")):
        monkeypatch.setattr(module, name, only_in_the_run(getattr(module, name)))
    built = build("DATALOADER.NUM_WORKERS", "1")
    images = [image["img"] for image in built.test_loader.dataset]
    pool = SimpleNamespace(image=images.__getitem__)
    loaders = [built.train_loader_x, built.test_loader, built.unlabelled_loader,
               pair_loader(Pairs(pool, [3, 1], lambda image: image), 2, 1)]
    for loader in loaders:
        assert loader.num_workers == 1 and len(next(iter(loader))["img"])
