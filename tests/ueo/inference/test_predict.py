"""scripts/predict.sh: predictions of new images, written batch by batch, resumed after a kill."""

import csv
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
import trees
import warm
from conftest import REPOSITORY, disk, size_of

from ueo.commands import export, predict, train
from ueo.files import exclusive, read_json, write_json
from ueo.images.folders import Unread, images_below
from ueo.inference.adapted_model import AdaptedModel
from ueo.inference.new_images import NewImages
from ueo.inference.unfinished import Unfinished, skipped_file
from ueo.results.predictions import COLUMNS

NAMES = ("bike", "mug", "fan")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Eleven photographs of different sizes in one folder."""
    folder = tmp_path_factory.mktemp("mine") / "photos"
    for i in range(11):
        trees.draw(folder / f"{i:02} a photo.jpg", i)
    (folder.parent / "names.txt").write_text("\n".join(NAMES))
    return folder


@pytest.fixture(scope="module")
def runs(photos, weights, tmp_path_factory):
    """{"rn" and "vit": folder of a run on the photographs}"""
    found = {kind: tmp_path_factory.mktemp("runs") / kind for kind in ("rn", "vit")}
    for kind, folder in found.items():
        size = size_of(kind)
        assert train.main([
            "--dataset-config-file", str(REPOSITORY / "configs/datasets/folder.yaml"),
            "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
            "--trainer", "UEO", "--path", str(photos), "--names",
            str(photos.parent / "names.txt"), "--backbone", weights[kind], "--seed", "1",
            "--device", "cpu", "--output-dir", str(folder), "OPTIM.MAX_EPOCH", "1",
            "INPUT.SIZE", f"({size}, {size})", "DATALOADER.NUM_WORKERS", "0",
            "DATASET.STORE_GB", "0",
        ]) == 0
    return found


@pytest.fixture
def call(runs, photos, tmp_path, capsys):
    """call(*options, path=..., kind=...) -> (status, stdout, stderr)"""
    def call(*options: str, path=photos, kind="vit", model=None):
        capsys.readouterr()
        status = predict.main([
            "--model", str(model or runs[kind]), "--path", str(path), "--device", "cpu",
            "--output", str(tmp_path / "new.csv"), "--workers", "0", *options,
        ])
        return status, *capsys.readouterr()

    return call


def rows(file: Path) -> list[dict]:
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_predicting_a_runs_own_images_reproduces_its_file(runs, call, tmp_path, kind):
    for options in (["--batch-size", "1"], ["--batch-size", "4", "--workers", "2"], []):
        status, out, _ = call(*options, "--overwrite", kind=kind)
        assert status == 0
        assert (tmp_path / "new.csv").read_bytes() == (runs[kind] / "predictions.csv").read_bytes()
    assert "\nImages: 11 read.\nClasses: " in out
    assert f"Predictions: {tmp_path / 'new.csv'}" in out
    assert sorted(os.listdir(tmp_path)) == ["new.csv"]


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_neither_folders_nor_order_change_a_prediction(runs, photos, call, tmp_path, kind):
    names = sorted(os.listdir(photos))
    (tmp_path / "list.txt").write_text("\n".join(f"photos/{name}" for name in names[::-1]))
    assert call("--root", str(photos.parent), path=tmp_path / "list.txt", kind=kind)[0] == 0
    listed = {row.pop("image").removeprefix("photos/"): row for row in rows(tmp_path / "new.csv")}
    for i, name in enumerate(names):
        target = tmp_path / "deep" / f"{-i % 3}" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / name, target)
    assert call("--overwrite", path=tmp_path / "deep", kind=kind)[0] == 0
    found = rows(tmp_path / "new.csv")
    assert [row["image"] for row in found] == sorted(row["image"] for row in found)
    assert {os.path.basename(row.pop("image")): row for row in found} == listed
    whole = {row.pop("image"): row for row in rows(runs[kind] / "predictions.csv")}
    assert listed == whole


def test_one_image(runs, photos, call, tmp_path):
    status, out, _ = call(path=photos / "03 a photo.jpg")
    (row,) = rows(tmp_path / "new.csv")
    assert status == 0 and row.pop("image") == str(photos / "03 a photo.jpg")
    expected = rows(runs["vit"] / "predictions.csv")[3]
    assert row == {key: expected[key] for key in row} and "Images: 1 read" in out


def test_a_run_with_a_single_class_name_trains_and_predicts(photos, weights, tmp_path, call):
    (tmp_path / "one.txt").write_text("mug")
    assert train.main([
        "--dataset-config-file", str(REPOSITORY / "configs/datasets/folder.yaml"),
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--trainer", "UEO", "--path", str(photos), "--names", str(tmp_path / "one.txt"),
        "--backbone", weights["vit"], "--seed", "1", "--device", "cpu",
        "--output-dir", str(tmp_path / "run"), "OPTIM.MAX_EPOCH", "1", "INPUT.SIZE", "(32, 32)",
        "DATALOADER.NUM_WORKERS", "0", "DATASET.STORE_GB", "0",
    ]) == 0
    status, out, _ = call(model=tmp_path / "run")
    assert status == 0 and "There is only one class name, 'mug'" in out
    assert {row["probability"] for row in rows(tmp_path / "new.csv")} == {"1"}


def test_unreadable_files_are_counted_by_reason_and_listed(photos, call, tmp_path):
    new = shutil.copytree(photos, tmp_path / "new")
    (new / "00.png").write_bytes(b"no image")
    (new / "05 a photo.jpg").write_bytes((new / "05 a photo.jpg").read_bytes()[:400])
    (new / "notes.txt").write_text("")
    os.symlink(new / "gone.jpg", new / "=x.jpg")
    status, out, _ = call("--batch-size", "3", path=new)
    assert status == 0 and len(rows(tmp_path / "new.csv")) == 10
    (first,) = (line for line in out.splitlines() if line.startswith("Images: 10 read, 4 skipped"))
    assert "damaged image 1" in first
    left_out = {row["file"]: row for row in rows(tmp_path / "new.skipped.csv")}
    assert left_out["00.png"]["reason"] == "no image that Pillow can read"
    assert "runcated" in left_out["05 a photo.jpg"]["detail"]
    assert left_out["'=x.jpg"]["reason"] == "no such image"
    assert left_out["notes.txt"]["reason"] == ".txt" and len(left_out) == 4
    assert f"Skipped:     {tmp_path / 'new.skipped.csv'}" in out


def test_predictions_without_before_and_with_a_given_threshold(runs, call, tmp_path):
    scores = sorted(float(row["score"]) for row in rows(runs["vit"] / "predictions.csv"))

    def known(*options):
        status, out, _ = call("--no-before", "--overwrite", *options)
        found = rows(tmp_path / "new.csv")
        assert status == 0 and {row["class_before"] for row in found} == {""}
        assert "Changed" not in out
        return sum(row["known"] == "yes" for row in found), out

    number, out = known("--threshold", str((scores[7] + scores[8]) / 2))
    assert number == 3 and "none of these: 8 (73 %)" in out and "(given)" in out
    assert known("--threshold", "none")[0] == 11
    facts = read_json(runs["vit"] / "model.json", dict, "")
    for rule, threshold in facts["thresholds"].items():
        expected = 11 if threshold is None else sum(score >= threshold for score in scores)
        assert known("--threshold", rule)[0] == expected


# interrupted


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """300 small images in ten folders, every 37th of them damaged."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(300):
        trees.draw(folder / f"{i % 10}" / f"{i}.png", i)
        if i % 37 == 5:
            (folder / f"{i % 10}" / f"{i}.png").write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def uninterrupted(runs, many, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "new.csv"
    assert predict.main(["--model", str(runs["vit"]), "--path", str(many), "--device", "cpu",
                         "--workers", "0", "--batch-size", "8", "--output", str(output)]) == 0
    return output


def same(output: Path, other: Path) -> bool:
    return all(file(output).read_bytes() == file(other).read_bytes()
               for file in (lambda path: path, skipped_file))


def test_a_killed_process_neither_loses_nor_repeats_a_line(runs, many, uninterrupted, tmp_path):
    output = tmp_path / "new.csv"
    words = ["-m", "ueo.commands", "predict", "--model", str(runs["vit"]), "--path", str(many),
             "--device", "cpu", "--workers", "2", "--batch-size", "8", "--output", str(output)]
    partial = tmp_path / "new.csv.partial"
    process = warm.Python(*words)
    end = time.monotonic() + 120
    while not partial.is_file() or partial.stat().st_size < 2000:
        assert time.monotonic() < end and process.returncode is None
    process.kill()
    process.communicate()
    assert not output.exists() and len(partial.read_text().splitlines()) > 10
    with open(partial, "a") as file:
        file.write("a line that is cut o")
    done = warm.run(*words)
    assert done.returncode == 0 and ": resumes after " in done.stdout, done.stderr
    assert same(output, uninterrupted)
    assert sorted(os.listdir(tmp_path)) == ["new.csv", "new.skipped.csv"]


@pytest.fixture
def interrupt(call, many, monkeypatch):
    """interrupt(n): predict `many` and interrupt the call after n batches."""
    def begin(number: int, *options: str, path=many):
        left, predicted = iter(range(number)), AdaptedModel.predict_pixels

        def predict_pixels(*arguments):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return predicted(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(AdaptedModel, "predict_pixels", predict_pixels)
            assert call("--batch-size", "8", *options, path=path)[0] == 130

    return begin


@pytest.mark.parametrize(("cut_rows", "cut_skipped"), [(0, 0), (1, 0), (700, 0), (0, 3), (0, 60)])
def test_a_resumed_file_is_complete_wherever_it_was_cut(
    interrupt, call, many, uninterrupted, tmp_path, cut_rows, cut_skipped
):
    interrupt(20)
    for name, cut in (("new.csv", cut_rows), ("new.skipped.csv", cut_skipped)):
        file = tmp_path / f"{name}.partial"
        os.truncate(file, file.stat().st_size - cut)
    status, out, _ = call("--batch-size", "5", path=many)
    assert status == 0 and ": resumes after " in out
    assert same(tmp_path / "new.csv", uninterrupted)


@pytest.mark.parametrize("line", [b"\xff\xfe,x\n", b"\n", b"\0\0\0\n"])
def test_lines_damaged_by_a_crash_of_the_machine_are_made_again(
    interrupt, call, many, uninterrupted, tmp_path, line
):
    interrupt(20)
    file = tmp_path / "new.csv.partial"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:5], line, *lines[6:]]))
    assert call("--batch-size", "5", path=many)[0] == 0
    assert same(tmp_path / "new.csv", uninterrupted)


def test_images_added_before_a_resume_are_predicted_too(interrupt, call, many, photos, tmp_path):
    new = shutil.copytree(many, tmp_path / "new")
    interrupt(20, path=new)
    shutil.copy(photos / "00 a photo.jpg", new / "4" / "00.jpg")
    status, out, _ = call(path=new)
    assert status == 0 and "do not match the order of the images any more, and are" in out
    files = (tmp_path / "new.csv", tmp_path / "new.skipped.csv")
    found = [next(iter(row.values())) for file in files for row in rows(file)]
    assert sorted(found) == [os.path.relpath(path, new) for path in images_below(new)]


def test_an_image_replaced_under_its_name_is_predicted_again(
    interrupt, call, many, photos, tmp_path
):
    new = shutil.copytree(many, tmp_path / "new")
    interrupt(20, path=new)
    line = rows(tmp_path / "new.csv.partial")[3]
    other = next(photo for photo in sorted(photos.iterdir())
                 if photo.read_bytes() != (new / line["image"]).read_bytes())
    shutil.copy(other, new / line["image"])
    with pytest.MonkeyPatch.context() as patched:  # killed again before the change is found
        patched.setattr(Unfinished, "_cut", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(path=new)
    status, out, _ = call(path=new)
    assert status == 0 and "follow an image that was changed" in out
    fresh = tmp_path / "fresh.csv"
    assert call("--output", str(fresh), path=new)[0] == 0
    assert fresh.read_bytes() == (tmp_path / "new.csv").read_bytes()


def test_a_list_is_not_resumed_with_another_root(interrupt, call, many, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(os.path.relpath(path, many) for path in images_below(many)))
    interrupt(3, "--root", str(many), path=listed)
    status, _, err = call("--root", str(tmp_path), path=listed)
    assert status == 2 and "another --root" in err and err.count("\n") == 1


@pytest.mark.parametrize(("options", "words"), [
    ({"kind": "rn"}, "another model"),
    ({"threshold": "0.5"}, "another threshold"),
    ({"no_before": True}, "another choice of --no-before"),
    ({"path": REPOSITORY / "docs"}, "another --path"),
])
def test_a_call_with_other_options_does_not_resume(interrupt, call, many, tmp_path, options, words):
    interrupt(3)
    before = (tmp_path / "new.csv.partial").read_bytes()
    asked = ["--threshold", options.pop("threshold")] if "threshold" in options else []
    asked += ["--no-before"] * bool(options.pop("no_before", False))
    where = {"path": many, **options}
    status, _, err = call(*asked, **where)
    assert status == 2 and words in err and "--overwrite" in err and err.count("\n") == 1
    assert (tmp_path / "new.csv.partial").read_bytes() == before
    assert call(*asked, "--overwrite", **where)[0] == 0
    count = len(images_below(where["path"]))
    assert len(rows(tmp_path / "new.csv")) == count - 8 * (where["path"] == many)


def test_predictions_need_overwrite_and_other_files_are_never_replaced(call, tmp_path):
    for words, options, why in (
        (",".join(COLUMNS), (), "already exists"), ("precious", (), "holds no predictions"),
        ("precious", ("--overwrite",), "holds no predictions"),
    ):
        (tmp_path / "new.csv").write_text(words)
        status, _, err = call(*options)
        assert status == 2 and why in err and err.count("\n") == 1
        assert (tmp_path / "new.csv").read_text() == words


def test_folders_and_inputs_are_never_overwritten(call, photos, runs, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(str(path) for path in sorted(photos.iterdir())))
    before = listed.read_text()
    os.mkfifo(tmp_path / "pipe")  # like the device /dev/null, which root could replace
    for output, words in ((tmp_path, "is a folder"), (listed, "are made from"),
                          (tmp_path / "pipe", "is no regular file"),
                          (min(photos.iterdir()), "holds no predictions"),
                          (runs["vit"] / "outputs.npz", "holds no predictions"),
                          (runs["vit"] / "result.json", "are made from")):
        status, _, err = call("--output", str(output), "--overwrite", path=listed)
        assert status == 2 and words in err and err.count("\n") == 1
    assert listed.read_text() == before and sorted(os.listdir(tmp_path)) == ["list.txt", "pipe"]


def test_a_full_disk_names_the_file_and_loses_no_line(call, tmp_path):
    with disk(700):
        status, _, err = call("--batch-size", "2")
    assert (status, err.count("\n")) == (2, 1) and err.startswith(f"Error: {tmp_path}/new.csv: ")
    status, out, _ = call("--batch-size", "2")
    assert status == 0 and "resumes after" in out and len(rows(tmp_path / "new.csv")) == 11


def test_two_processes_do_not_write_one_file(call, tmp_path):
    with exclusive(tmp_path / ".new.csv.lock"):
        status, _, err = call()
    assert status == 2 and "another process is writing it" in err and err.count("\n") == 1


# refusals


def other_version(folder):
    facts = read_json(folder / "model.json", dict, "")
    write_json(folder / "model.json", {k: v for k, v in facts.items() if k != "separation"})


@pytest.mark.parametrize(("options", "words"), [
    ({"path": "empty"}, "--path empty: holds no image\n"),
    ({"path": "notes"}, "--path notes: holds no image, only 1 file (.md 1)"),
    ({"path": "gone"}, "--path gone: does not exist"),
    ({"path": "empty.txt"}, "--path empty.txt: holds no image"),
    ({"path": "latin.txt"}, "latin.txt: cannot be read (it is no UTF-8 text file, save"),
    ({"path": "bad"}, "bad.skipped.csv: no image could be read"),
    ({"path": "empty", "model": "gone"}, "gone: is no folder"),
    ({"path": "bad", "model": "empty"}, "empty: holds no model.json"),
    ({"path": "bad", "model": "unreadable"}, "model.json: not readable as JSON"),
    ({"path": "bad", "model": "old"}, "separation missing or of another kind, so it is of another "
                                      "version"),
    ({"path": "bad", "threshold": "otus"}, "did you mean 'otsu'"),
    ({"path": "bad", "threshold": "nan"}, "neither a number nor a rule"),
    ({"path": "bad", "output": "notes"}, "--output notes"),
])
def test_a_mistake_is_one_line(call, runs, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "notes", "bad", "unreadable"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes" / "a.md").write_text("")
    (tmp_path / "bad" / "a.png").write_text("")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes("é.png\n".encode("latin-1"))
    (tmp_path / "unreadable" / "model.json").write_text("{")
    other_version(shutil.copytree(runs["vit"], tmp_path / "old"))
    asked = [word for key in ("threshold", "output") if key in options
             for word in (f"--{key}", options.pop(key))] or ["--output", "bad.csv"]
    status, _, err = call(*asked, **options)
    assert status == 2 and words in err and err.count("\n") == 1 and err.startswith("Error: ")


def test_a_call_without_images_creates_no_folder_in_the_model(runs, call, tmp_path):
    assert call("--output", "", path=tmp_path)[0] == 2
    assert not (runs["vit"] / "predictions").exists()


def test_tf32_is_set_as_in_the_run(runs, call, tmp_path, monkeypatch):
    """The run's MODEL.TF32 decides, also in an export."""
    run, exported = tmp_path / "run", tmp_path / "export"
    shutil.copytree(runs["vit"], run)
    result = read_json(run / "result.json", dict, "")
    result["config"]["MODEL.TF32"] = False
    write_json(run / "result.json", result)
    assert export.main(["--model", str(run), "--output", str(exported), "--no-onnx"]) == 0
    allowed = []
    monkeypatch.setattr("ueo.inference.predict.set_tf32", allowed.append)
    for model in (run, exported):
        assert call("--overwrite", model=model)[0] == 0
    assert allowed == [False, False]


def test_weights_in_half_are_loaded_on_a_cpu(runs, photos, call, tmp_path):
    """A run in fp16 on a GPU saves such weights. A CPU computes with them in fp32."""
    folder = shutil.copytree(runs["vit"], tmp_path / "half")
    (file,) = (folder / "tuned").glob("model.pth.tar-*")
    saved = torch.load(file, weights_only=False)
    saved["state_dict"] = {key: value.half() if value.is_floating_point() else value
                           for key, value in saved["state_dict"].items()}
    torch.save(saved, file)
    result = read_json(folder / "result.json", dict, "")
    result["config"]["TRAINER.UEO.PREC"] = "fp16"
    write_json(folder / "result.json", result)
    assert call(model=folder)[0] == 0
    found, whole = rows(tmp_path / "new.csv"), rows(runs["vit"] / "predictions.csv")
    assert [row["class"] for row in found] == [row["class"] for row in whole]
    for key in ("probability", "score"):
        assert [float(row[key]) for row in found] == pytest.approx(
            [float(row[key]) for row in whole], rel=1e-2)


# lists of images


@pytest.mark.parametrize("text", [
    "b.png\n./a.png\n\n", "b.png 0\n./a.png 1\n", "image,label\r\nb.png,0\r\n./a.png,1\r\n",
    "path\nb.png\n./a.png\n", "\ufeffb.png\n./a.png",
])
def test_a_list_is_read_line_by_line_in_its_order(tmp_path, text):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    images = NewImages(str(tmp_path / "list.txt"), "root")
    assert list(images) == [("b.png", "root/b.png"), ("./a.png", "root/./a.png")]
    assert images.count(Unread()) == 2
