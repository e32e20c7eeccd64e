"""A result counts only for the images, names, weights, device and code that it was made with."""

import ast
import gc
import json
import os
import shutil

import numpy as np
import pytest
import torch
import trees
from conftest import discerning_clip, random_clip, read, size_of, toy_arguments
from dassl.engine import TRAINER_REGISTRY

from ueo import inputs
from ueo.commands import train
from ueo.errors import DataError
from ueo.images import hashes
from ueo.results.comparable import check_comparable
from ueo.results.record import read_result
from ueo.runs.code_hash import _structure, code_hash
from ueo.runs.configure import build_cfg
from ueo.runs.current_inputs import method_inputs
from ueo.runs.evaluation import Evaluations
from ueo.settings.discover import import_file
from ueo.trainers.base import CLIPTrainer


@pytest.fixture
def mine(tmp_path):
    """An own list of 18 images of three classes, their names, and weights."""
    root = tmp_path / "mine"
    lines = []
    for label, name in enumerate(("bike", "mug", "fan")):
        for i in range(6):
            trees.draw(root / name / f"{i}.png", 20 * label + i)
            lines.append(f"{name}/{i}.png {label}\n")
    (root / "list.txt").write_text("".join(lines))
    (root / "names.txt").write_text("bike\nmug\n")
    torch.save(random_clip("vit").state_dict(), root / "weights.pt")
    return root


@pytest.fixture
def run(tmp_path):
    def run(root, *options, trainer="ZeroshotCLIP", folder="run"):
        size = size_of("vit")
        return train.main([
            "--root", str(root), "--dataset", "UFTList", "--path", str(root / "list.txt"),
            "--names", str(root / "names.txt"), "--backbone", str(root / "weights.pt"),
            "--trainer", trainer, "--seed", "1", "--device", "cpu", "--threads", "1",
            "--setting", "as_is", "--output-dir", str(tmp_path / folder), *options,
            "INPUT.SIZE", f"({size}, {size})", "DATALOADER.NUM_WORKERS", "0",
            "OPTIM.MAX_EPOCH", "2", "OPTIM.NAME", "sgd",
        ])

    return run


def replace_with_same_times(root):
    """Replace an image by one of the same size in bytes and the same modification time."""
    path = root / "mug" / "3.png"
    before, content = os.stat(path), path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_size == before.st_size
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns


def add_an_image(root):
    trees.draw(root / "mug" / "new.png", 77)
    with open(root / "list.txt", "a") as file:
        file.write("mug/new.png 1\n")


def change_a_label(root):
    text = (root / "list.txt").read_text()
    (root / "list.txt").write_text(text.replace("bike/0.png 0", "bike/0.png 1"))


def rewrite_the_names(root):
    (root / "names.txt").write_text("dog\ncat\n")


def replace_the_weights(root):
    state = random_clip("vit").state_dict()
    state["visual.proj"] = state["visual.proj"] + 0.5
    torch.save(state, root / "weights.pt")


SHOTS = ("DATASET.NUM_SHOTS", "2")
AFTER_EPOCH = CLIPTrainer.after_epoch


def interrupted(trainer):
    """Replaces CLIPTrainer.after_epoch: the user interrupts after the first epoch."""
    AFTER_EPOCH(trainer)
    raise KeyboardInterrupt


CHANGES = {
    "images": replace_with_same_times,
    "image list": add_an_image,
    "labels": change_a_label,
    "class names": rewrite_the_names,
    "weights": replace_the_weights,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_finished_run_does_not_count_for_other_inputs(mine, run, tmp_path, capsys, name):
    assert run(mine) == 0
    before = (tmp_path / "run" / "result.json").read_bytes()
    assert run(mine) == 0
    assert "Finished before" in capsys.readouterr().out
    CHANGES[name](mine)
    assert run(mine) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("of another input (", f"{name}: ", "--overwrite", str(tmp_path / "run")):
        assert part in line
    assert (tmp_path / "run" / "result.json").read_bytes() == before
    damaged = name == "images"  # the replaced file is no whole image
    assert run(mine, "--overwrite") == (2 if damaged else 0)


@pytest.mark.parametrize("name", ["image list", "weights"])
def test_an_interrupted_run_is_not_resumed_on_other_inputs(
    mine, run, tmp_path, capsys, monkeypatch, name
):
    with monkeypatch.context() as patch:
        patch.setattr(CLIPTrainer, "after_epoch", interrupted)
        assert run(mine, trainer="UEO") == 130
    CHANGES[name](mine)
    capsys.readouterr()
    assert run(mine, trainer="UEO") == 0
    out = capsys.readouterr().out
    assert "An interrupted run is not resumed: " in out and f"{name}: " in out
    assert read(tmp_path / "run")["resumed_from_epoch"] == 0


def test_a_run_is_not_resumed_in_another_folder_with_other_inputs(
    mine, run, tmp_path, capsys, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(CLIPTrainer, "after_epoch", interrupted)
        assert run(mine, trainer="UEO") == 130
    other = ("--resume", str(tmp_path / "run"))
    assert run(mine, *other, trainer="UEO", folder="other") == 0
    assert read(tmp_path / "other")["resumed_from_epoch"] == 1
    rewrite_the_names(mine)
    capsys.readouterr()
    assert run(mine, *other, trainer="UEO", folder="third") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--resume" in line and "class names: " in line


def test_overwriting_a_run_removes_its_old_outputs(mine, run, tmp_path, monkeypatch):
    assert run(mine) == 0
    left = {name for name in ("scores.png", "outputs.npz", "evaluations.json")
            if (tmp_path / "run" / name).is_file()}
    assert len(left) == 3

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ueo.runs.evaluation.run_facts", full)
        assert run(mine, "--overwrite") == 2
    assert not (tmp_path / "run" / "scores.png").exists()
    assert not (tmp_path / "run" / "outputs.npz").exists()


def test_an_image_that_is_replaced_during_a_run_ends_it_without_a_record(
    mine, run, tmp_path, monkeypatch, capsys
):
    counted = Evaluations.count_training

    def replaced(self, *args):
        trees.draw(mine / "mug" / "3.png", 777)
        os.utime(mine / "mug" / "4.png")  # another time, the same image
        counted(self, *args)

    monkeypatch.setattr(Evaluations, "count_training", replaced)
    assert run(mine, trainer="UEO") == 2
    error = capsys.readouterr().err
    assert f"{mine}/mug/3.png: was replaced during the run (1 such files)" in error
    assert read_result(tmp_path / "run") is None
    assert run(mine, trainer="UEO") == 0  # now it holds the same image from the start


def test_a_copy_of_the_data_has_the_same_hashes(mine, run, tmp_path, capsys):
    assert run(mine) == 0
    copy = shutil.copytree(mine, tmp_path / "copy")
    lines = (copy / "list.txt").read_text().splitlines()
    items = [(str(copy / line.split()[0]), int(line.split()[1])) for line in lines]
    files = hashes.files_of((path for path, _ in items), copy, tmp_path / "hashes.json")
    expected = hashes.of_data(["bike", "mug", "unknown_2"], 2 * [items], files)
    assert expected.items() <= read(tmp_path / "run")["inputs"].items()


def test_each_file_is_read_once_while_it_stays_the_same(tmp_path, monkeypatch):
    paths = [str(tmp_path / f"{i}.bin") for i in range(5)]
    for i, path in enumerate(paths):
        with open(path, "wb") as file:
            file.write(bytes([i]) * 10)
    names = hashes.relative_names(paths, tmp_path)
    read_files = []
    content_hash = hashes.content_hash
    monkeypatch.setattr(hashes, "content_hash",
                        lambda path: read_files.append(path) or content_hash(path))
    cache = tmp_path / "cache" / "hashes.json"
    first = hashes.content_hashes(names, cache)
    assert sorted(read_files) == paths and len(set(first.values())) == 5
    read_files.clear()
    assert hashes.content_hashes(names, cache) == first and not read_files
    with open(paths[2], "wb") as file:
        file.write(b"another ten"[:10])
    changed = hashes.content_hashes(names, cache)
    assert read_files == [paths[2]]
    assert {p for p in paths if changed[p] != first[p]} == {paths[2]}
    cache.write_text("[]")
    assert hashes.content_hashes(names, cache) == changed


def test_a_missing_file_and_a_pipe_count_as_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    paths = [str(tmp_path / "none.png"), str(tmp_path / "pipe.png")]
    found = hashes.content_hashes({path: path for path in paths}, tmp_path / "hashes.json")
    assert set(found.values()) == {"missing"}


@pytest.mark.parametrize(("name", "value"), [("device", "cuda"), ("precision", "fp16"),
                                             ("engine", "dassl 0.6.3")])
def test_device_precision_and_engine_are_inputs(mine, run, tmp_path, capsys, name, value):
    assert run(mine) == 0
    result = read(tmp_path / "run")
    assert result["inputs"]["device"] == "cpu" and result["inputs"]["precision"] == "fp32"
    result["inputs"][name] = value
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    capsys.readouterr()
    assert run(mine) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}: {value} -> " in line
    assert name != "engine" or "UEO_ENGINE" in line


def test_a_record_of_an_earlier_version_is_refused(mine, run, tmp_path, capsys):
    assert run(mine) == 0
    result = read(tmp_path / "run")
    del result["inputs"]
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    capsys.readouterr()
    assert run(mine) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "earlier version" in line and "result.json" in line and "--overwrite" in line
    with pytest.raises(DataError, match="earlier version"):
        read_result(tmp_path / "run")
    assert run(mine, "--overwrite") == 0


def test_a_finished_run_whose_images_are_gone_counts_with_a_message(
    mine, run, tmp_path, capsys
):
    assert run(mine) == 0
    shutil.rmtree(mine / "bike")
    capsys.readouterr()
    assert run(mine) == 0
    out = capsys.readouterr().out
    assert "not compared with its images" in out and "Finished before" in out


# code

PLUGIN = '''
"""A method of one's own."""
from dassl.engine import TRAINER_REGISTRY
from ueo.trainers.infomax import InfoMax
from ueo.runs.configure import build_cfg


@TRAINER_REGISTRY.register(force=True)
class Own(InfoMax):
    """What it does."""

    def loss(self, batch):
        return {"loss": %s * super().loss(batch)["loss"]}
'''


def test_an_edited_trainer_is_another_trainer_but_comments_do_not_count(
    mine, run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(TRAINER_REGISTRY._obj_map, "Own", None)  # gone again after the test
    plugin = tmp_path / "own.py"
    options = ("--plugin", str(plugin), "--device", "cpu")
    plugin.write_text(PLUGIN % "1.0")
    assert run(mine, *options, trainer="Own") == 0
    plugin.write_text(PLUGIN.replace("What it does", "What else it does") % "1.0" + "# a remark\n")
    assert run(mine, *options, trainer="Own") == 0
    capsys.readouterr()
    plugin.write_text(PLUGIN % "2.0")
    assert run(mine, *options, trainer="Own") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "trainer code: " in line


# tables


@pytest.mark.parametrize("name", ["device", "weights", "precision", "trainer code", "images",
                                  "labels", "class names", "image list"])
def test_runs_of_one_method_in_a_table_need_the_same_inputs(tmp_path, name):
    result = {"dataset": "d", "protocol": "p", "backbone": "b", "domain": "a", "setting": "open",
              "split_hash": "s", "trainer": "T", "config": {}, "environment": {"engine": "e"}}
    entries = [(tmp_path / str(seed), {**result, "inputs": {name: value}})
               for seed, value in enumerate(("one", "two"))]
    with pytest.raises(DataError, match=f"cannot be in one table: {name} is 'one' and 'two'"):
        check_comparable(entries)
    check_comparable(entries[:1] * 2)


@pytest.mark.parametrize("name", ["device", "weights", *inputs.OF_DATA, "precision"])
def test_methods_of_one_table_share_their_domains_images(tmp_path, name):
    """A gain is over the same images. Domains have their own; methods may differ in precision."""
    result = {"dataset": "d", "protocol": "p", "backbone": "b", "setting": "open",
              "split_hash": "s", "config": {}, "environment": {"engine": "e"}}

    def compare(*runs):
        check_comparable([
            (tmp_path / str(i), {**result, "trainer": trainer, "domain": domain,
                                 "inputs": {name: value}})
            for i, (trainer, domain, value) in enumerate(runs)
        ])

    if name == "precision":
        compare(("T", "a", "one"), ("U", "a", "two"))
    else:
        with pytest.raises(DataError, match=f"{name} is 'one' and 'two'"):
            compare(("T", "a", "one"), ("U", "a", "two"))
    if name in inputs.OF_DATA:
        compare(("T", "a", "one"), ("T", "b", "two"))


# evaluation of a finished run


@pytest.fixture
def shots(toy):
    """A run that was trained on two labelled images per class, with seed 3."""
    status, folder = toy("trained", "DATASET.NUM_SHOTS", "2", trainer="CoOp", seed=3, epochs=1)
    assert status == 0
    return folder


def images_of(folder) -> set[str]:
    with np.load(folder / "outputs.npz") as file:
        return set(file["test_paths"].tolist())


def test_an_evaluation_tests_no_image_that_the_model_was_trained_on(
    toy_root, weights, shots, monkeypatch, tmp_path, capsys
):
    seen = set()
    evaluate_sets = Evaluations.run

    def remember(self, *args, **options):
        root = self.trainer.dm.dataset.root
        seen.update(os.path.relpath(item.impath, root) for item in self.trainer.dm.dataset.test)
        return evaluate_sets(self, *args, **options)

    monkeypatch.setattr(Evaluations, "run", remember)
    argv = toy_arguments(toy_root, weights, tmp_path / "looked", trainer="CoOp", epochs=1)
    at = argv.index("--seed")
    unseeded = argv[:at] + argv[at + 2 :]
    look = ["--eval-only", "--model-dir", str(shots)]
    assert train.main([*look, *unseeded]) == 0
    assert seen == images_of(shots)
    out = capsys.readouterr().out
    assert "DATASET.NUM_SHOTS 2, as in" in out and "SEED 3, as in" in out
    for wrong in ([*look, *argv], [*look, *unseeded, "DATASET.NUM_SHOTS", "1"],
                  [*look, "--protocol", "independent", *unseeded]):
        assert train.main(wrong) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "trained on would be tested" in line and str(shots) in line


def test_an_evaluation_finds_its_run_by_any_spelling_of_the_domain(
    toy_root, weights, shots, tmp_path, capsys
):
    argv = toy_arguments(toy_root, weights, tmp_path / "looked", trainer="CoOp", epochs=1)
    argv[argv.index("--domain") + 1] = "Red"
    at = argv.index("--seed")
    look = ["--eval-only", "--model-dir", str(shots), *argv[:at], *argv[at + 2 :]]
    capsys.readouterr()
    assert train.main(look) == 0
    out = capsys.readouterr().out
    assert "DATASET.NUM_SHOTS 2, as in" in out and "SEED 3, as in" in out


def test_an_evaluation_finds_its_run_by_any_spelling_of_the_path(mine, run, tmp_path, capsys):
    assert run(mine, *SHOTS, trainer="CoOp", folder="trained") == 0
    look = ("--eval-only", "--model-dir", str(tmp_path / "trained"))
    (tmp_path / "link").symlink_to(mine)
    for spelling in (mine / ".." / mine.name / "list.txt", tmp_path / "link" / "list.txt"):
        capsys.readouterr()
        assert run(mine, *look, "--path", str(spelling), trainer="CoOp", folder="looked") == 0
        assert "DATASET.NUM_SHOTS 2, as in" in capsys.readouterr().out


@pytest.mark.parametrize("changed, wrong", [
    (("DATASET.SUBSAMPLE_CLASSES", "new"), "are others"),
    (("DATASET.SUBSAMPLE_CLASSES", "base"), ""),
])
@pytest.mark.parametrize("trainer, options", [
    ("LinearProbe", ()), ("TipAdapter", ()), ("CoOp", ("TRAINER.CoOp.CSC", "True")), ("Midway", ()),
])
def test_a_model_bound_to_its_classes_is_not_evaluated_on_others(
    toy, toy_root, weights, tmp_path, capsys, trainer, options, changed, wrong
):
    options = ("DATASET.NUM_SHOTS", "2", *options)
    status, folder = toy("trained", *options, "DATASET.SUBSAMPLE_CLASSES", "base", trainer=trainer)
    assert status == 0
    capsys.readouterr()
    argv = [*toy_arguments(toy_root, weights, tmp_path / "looked", trainer=trainer), *options]
    status = train.main(["--eval-only", "--model-dir", str(folder), *argv, *changed])
    error = capsys.readouterr().err
    assert status == (2 if wrong else 0)
    assert not wrong or f"here (first 'guitar') {wrong}" in error and error.count("\n") == 1


def test_a_model_bound_to_its_classes_needs_them_in_the_same_order(mine, run, tmp_path, capsys):
    assert run(mine, *SHOTS, trainer="LinearProbe", folder="trained") == 0
    (mine / "names.txt").write_text("mug\nbike\n")
    lines = (mine / "list.txt").read_text()
    swapped = lines.replace("png 0", "png x").replace("png 1", "png 0").replace("png x", "png 1")
    (mine / "other.txt").write_text(swapped)
    capsys.readouterr()
    look = ("--eval-only", "--model-dir", str(tmp_path / "trained"))
    status = run(mine, *look, "--path", str(mine / "other.txt"), *SHOTS, trainer="LinearProbe",
                 folder="looked")
    assert status == 2 and "are another order" in capsys.readouterr().err


def test_shots_of_a_run_without_a_seed_cannot_be_told_from_test_images(
    toy, toy_root, weights, tmp_path, capsys
):
    status, folder = toy("trained", "DATASET.NUM_SHOTS", "2", trainer="CoOp", seed=-1, epochs=1)
    assert status == 0
    capsys.readouterr()
    argv = toy_arguments(toy_root, weights, tmp_path / "looked", trainer="CoOp", epochs=1)
    assert train.main(["--eval-only", "--model-dir", str(folder), *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "without a seed" in line


@pytest.mark.parametrize("option", [
    "MODEL.INIT_WEIGHTS", "TRAINER.ARF.CAPTIONS", "TRAINER.ARF.POOL",
])
def test_files_that_an_option_names_are_inputs(tmp_path, option):
    """They count by content: a copy elsewhere is the same input, an edited file is not."""
    found = {}
    for name, content in (("one", "text"), ("copy", "text"), ("other", "edited")):
        path = tmp_path / name
        if option.endswith("POOL"):
            path.mkdir()
            (path / "0.txt").write_text(content)
        else:
            path.write_text(content)
        settings = train.settings_of([
            *toy_arguments(str(tmp_path), {"vit": ""}, tmp_path / "out", kind="vit",
                           trainer="ARF"), "MODEL.BACKBONE.NAME", "TinyCLIP", option, str(path),
        ])
        found[name] = method_inputs(build_cfg(settings))
    assert option in found["one"] and found["one"] == found["copy"]
    assert inputs.difference(found["one"], found["other"]).startswith(f"{option}: ")


def test_a_run_with_shots_and_without_a_seed_is_not_resumed(
    mine, run, tmp_path, capsys, monkeypatch
):
    options = ("SEED", "-1", "DATASET.NUM_SHOTS", "2")
    with monkeypatch.context() as patch:
        patch.setattr(CLIPTrainer, "after_epoch", interrupted)
        assert run(mine, *options, trainer="CoOp") == 130
    assert run(mine, *options, trainer="CoOp") == 0
    assert "is not resumed: without a seed its labelled images" in capsys.readouterr().out
    assert read(tmp_path / "run")["resumed_from_epoch"] == 0


@pytest.mark.parametrize(("trainer", "seed", "words"), [
    ("UEO", 5, "was adapted from the weights"), ("ZeroshotCLIP", 0, "ZeroshotCLIP tunes nothing"),
])
def test_a_model_is_not_evaluated_with_other_weights_or_ignored(
    toy_root, weights, tmp_path, capsys, trainer, seed, words
):
    run = tmp_path / "run"
    assert train.main(toy_arguments(toy_root, weights, run, kind="vit")) == 0
    torch.save(discerning_clip("vit", seed).state_dict(), tmp_path / "other.pt")
    argv = toy_arguments(toy_root, {"vit": str(tmp_path / "other.pt")}, tmp_path / "look",
                         kind="vit", trainer=trainer)
    capsys.readouterr()
    assert train.main(["--eval-only", "--model-dir", str(run), *argv]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_another_order_is_another_input(tmp_path):
    """Class ids follow the order of names; rows of a record follow the lists."""
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for i in range(4):
        trees.draw(tmp_path / f"{i}.png", i)
    train_part, test_part = [(paths[0], 0), (paths[1], 1)], [(paths[2], 1), (paths[3], 0)]

    def found(names=("mug", "sun"), parts=(train_part, test_part)):
        files = hashes.files_of((p for part in parts for p, _ in part), tmp_path, None)
        return hashes.of_data(names, parts, files)

    def changed(**what):
        return {key for key, value in found(**what).items() if value != found()[key]}

    assert changed() == set()
    assert changed(names=("sun", "mug")) == {"class names"}
    assert changed(parts=(train_part[::-1], test_part)) == {"image list", "labels", "images"}
    assert changed(parts=(test_part, train_part)) == {"image list", "labels", "images"}
    swapped = [(paths[0], 1), (paths[1], 0)]
    assert changed(parts=(swapped, test_part)) == {"labels"}
    moved = ([train_part[0]], [train_part[1], *test_part])
    assert changed(parts=moved) == {"image list", "labels"}


def test_the_hash_of_a_large_file_covers_its_end(tmp_path):
    content = bytes(3 << 20)
    for name, end in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content + end)
    a, b, c = (hashes.content_hash(tmp_path / name) for name in "abc")
    assert a == b != c


def test_an_edited_base_class_makes_another_method(tmp_path):
    (tmp_path / "base.py").write_text("class Base:\n    rate = 1\n")
    (tmp_path / "method.py").write_text("from .base import Base\nclass Method(Base):\n    pass\n")
    method = import_file(str(tmp_path / "method.py")).Method
    first = code_hash(method)
    (tmp_path / "base.py").write_text("class Base:\n    rate = 1  # per epoch\n")
    import_file(str(tmp_path / "base.py"))
    assert code_hash(method) == first
    (tmp_path / "base.py").write_text("class Base:\n    rate = 2\n")
    import_file(str(tmp_path / "base.py"))
    assert code_hash(method) != first


def test_the_hash_of_code_survives_a_collection_that_parses_python_itself():
    def parse(phase, info):
        if phase == "stop":
            ast.parse("a = 1")

    method = TRAINER_REGISTRY.get("UEO")
    usual, thresholds = code_hash(method), gc.get_threshold()
    _structure.cache_clear()
    gc.callbacks.append(parse)
    gc.set_threshold(5)
    try:
        again = code_hash(method)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(parse)
    assert again == usual
