"""Grids that are killed, sharded or handed to Slurm give the tables of an uninterrupted one."""

import json
import random
import shutil
import time
from pathlib import Path

import pytest
import trees
import warm
from conftest import REPOSITORY, read

from ueo.commands import grid
from ueo.grids import slurm
from ueo.inputs import DEVICE, PRECISION, TF32

KILLS = 5


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    trees.office31(root)
    return root


@pytest.fixture(scope="module")
def argv(root, weights):
    """Command line of twelve quick runs, without --output."""
    return [
        "office31", "--domain", "dslr", "webcam", "--setting", "open", "closed", "--seed", "1",
        "2", "--jobs", "2", "--backbone", weights["vit"], "--device", "cpu", "--root", str(root),
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--set", "INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", "2", "DATASET.CHECK_COUNTS", "False",
        "DATALOADER.NUM_WORKERS", "0",
    ]


def start(argv: list[str], output: Path) -> warm.Python:
    words = ["-m", "ueo.commands", "grid", *argv[:1], "--output", str(output), *argv[1:]]
    return warm.Python(*words)


def finish(process: warm.Python) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out


def tables(output: Path) -> dict[str, bytes]:
    """The files of the table and its picture, which hold no time and no path."""
    found = {p.name: p.read_bytes() for p in (output / "office31").glob("table*")}
    assert len(found) == 7, sorted(found)  # five of the table, its gains as .png and .pdf
    return found


def records(output: Path) -> list[Path]:
    return sorted((output / "office31").rglob("result.json"))


@pytest.fixture(scope="module")
def unbroken(argv, tmp_path_factory):
    output = tmp_path_factory.mktemp("unbroken")
    finish(start(argv, output))
    assert len(records(output)) == 4 + 8  # the zero-shot model needs one seed alone
    return output


def test_a_grid_killed_several_times_gives_the_same_tables(argv, unbroken, tmp_path):
    rng = random.Random(1)
    finished: dict[Path, int] = {}
    for _ in range(KILLS):
        process = start(argv, tmp_path)
        # kill the call before its first run or after some of its runs
        for _ in range(rng.randint(0, 4)):  # lines: the engine, the plan, then one per run
            process.stdout.readline()
        process.kill()
        process.communicate()
        for path in records(tmp_path):  # a finished run is never written again
            assert finished.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
            read(path.parent)  # and its record is complete
    finish(start(argv, tmp_path))
    for path, written in finished.items():
        assert path.stat().st_mtime_ns == written
    assert tables(tmp_path) == tables(unbroken)
    for path in records(unbroken):
        other = read(tmp_path / path.relative_to(unbroken).parent)
        assert other["metrics"] == read(path.parent)["metrics"]


def test_two_concurrent_shards_give_the_tables_of_one_grid(argv, unbroken, tmp_path):
    shards = [start([*argv[:1], "--shard", f"{i}/2", *argv[1:]], tmp_path) for i in (1, 2)]
    for shard in shards:
        assert "6 runs, 0 finished, 6 to do" in finish(shard)
    assert tables(tmp_path) == tables(unbroken)


def test_slurms_local_executor_runs_every_shard(argv, unbroken, tmp_path):
    pytest.importorskip("submitit")
    shutil.copytree(unbroken, tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "office31").glob("table*"):
        file.unlink()
    for record in records(tmp_path)[:2]:  # two neighbours, so one for each shard
        shutil.rmtree(record.parent)
    done = start([*argv[:1], "--slurm", "2", "--slurm-cluster", "local", "--slurm-set",
                  "timeout_min", "5", *argv[1:]], tmp_path)
    assert "Submitted" in finish(done)
    end = time.monotonic() + 240
    while len(list((tmp_path / "slurm").glob("*_result.pkl"))) < 2:
        assert time.monotonic() < end, list((tmp_path / "slurm").iterdir())
        time.sleep(0.5)
    assert tables(tmp_path) == tables(unbroken)


def test_a_login_node_without_a_gpu_submits_unfinished_runs(
    argv, unbroken, tmp_path, capsys, monkeypatch
):
    """The jobs' records say cuda; the device of the login node does not matter."""
    shutil.copytree(unbroken, tmp_path, dirs_exist_ok=True)
    first, *others = records(tmp_path)
    shutil.rmtree(first.parent)
    for path in others:
        result = read(path.parent)
        result["inputs"].update({DEVICE: "cuda", PRECISION: "fp16", TF32: "convolutions"})
        result["config"]["USE_CUDA"] = True
        path.write_text(json.dumps(result))
    submitted = []
    monkeypatch.setattr(slurm, "submit", lambda jobs, settings: submitted.append(jobs.number))
    words = [*argv[:1], "--output", str(tmp_path), "--slurm", "2", *argv[1:]]
    words[words.index("--device") + 1] = "auto"
    dry = [*words[:1], "--dry-run", *words[1:]]
    assert grid.main(dry) == grid.main(words) == 0
    assert "11 finished, 1 to do" in capsys.readouterr().out and submitted == [2]
    assert grid.main([*words[:1], "--slurm-cluster", "local", *words[1:]]) == 2  # this machine
    assert "device: cuda -> cpu" in capsys.readouterr().err


def test_records_of_two_machines_are_merged_by_copying(argv, unbroken, tmp_path, capsys):
    for trainer in ("UEO", "ZeroshotCLIP"):
        shutil.copytree(unbroken / "office31" / trainer, tmp_path / "office31" / trainer)
    words = [*argv[:1], "--output", str(tmp_path), "--tables-only", *argv[1:]]
    assert grid.main(words) == 0
    assert tables(tmp_path) == tables(unbroken)
    assert "12 runs, 12 with a record, 0 without" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "office31" / "UEO")
    assert grid.main(words) == 0
    out = capsys.readouterr().out
    assert "12 runs, 4 with a record, 8 without" in out and "Without a record: 'UEO" in out
    for name in ("txt", "md", "tex", "json"):
        assert "UEO lacks all runs" in next(tmp_path.glob(f"*/table*.{name}")).read_text()


def test_a_record_in_another_runs_folder_counts_for_neither(argv, unbroken, tmp_path, capsys):
    shutil.copytree(unbroken / "office31", tmp_path / "office31")
    taken = next((tmp_path / "office31" / "UEO").rglob("seed1"))
    shutil.copytree(taken.with_name("seed2"), taken, dirs_exist_ok=True)
    assert grid.main([*argv[:1], "--output", str(tmp_path), "--tables-only", *argv[1:]]) == 2
    error = capsys.readouterr().err
    assert f"{taken}/result.json: is of another run (SEED is 2, but the folder is for 1)" in error


def test_expected_numbers_pass_and_others_fail(argv, unbroken, tmp_path, capsys):
    rows = json.loads(next((unbroken / "office31").glob("table*.json")).read_text())["rows"]
    value = next(r for r in rows if r["method"] == "UEO" and r["setting"] == "open")
    good = value["values"]["dslr"]["pacc"]["mean"]
    header = "dataset,backbone,domain,label_space,method,metric,value,tolerance,source\n"
    for number, status in ((good, 0), (good + 1, 1)):
        file = tmp_path / "expected.csv"
        file.write_text(f"{header}office31,,dslr,open,UEO,pacc,{number},0.01,\n")
        words = [*argv[:1], "--output", str(unbroken), "--expect", str(file), *argv[1:]]
        assert grid.main(words) == status
        assert ("DIFFERENT" in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize(("options", "parts"), [
    (["--shard", "3/2"], ["--shard", "'3/2'"]),
    (["--shard", "2"], ["--shard", "i/n"]),
    (["--slurm", "2", "--slurm-set", "x"], ["--slurm-set", "'x'"]),
    (["--slurm", "-1"], ["--slurm"]),
    (["--slurm", "2", "--slurm-cluster", "local", "--slurm-set", "no_such", "1"], ["no_such"]),
    (["--reference", "absent.csv"], ["absent.csv"]),
])
def test_a_mistake_is_one_line(argv, unbroken, capsys, options, parts):
    words = [*argv[:1], "--output", str(unbroken), *options, *argv[1:]]
    assert grid.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in parts:
        assert part in line
