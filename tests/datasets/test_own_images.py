"""A user's own images: class folders, flat folders and lists, with and without labels."""

import csv
import shutil

import numpy as np
import pytest
import trees
from conftest import REPOSITORY, picture, read, size_of
from PIL import Image

import ueo
from ueo.commands import export, train
from ueo.files import read_json
from ueo.inference.outcome import outcome
from ueo.results.record import read_outputs

CONFIGS = REPOSITORY / "configs"


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Class folders bike, Mug and dragon; a flat folder; lists of both; names bike, mug, fan."""
    root = tmp_path_factory.mktemp("mine")
    labelled, plain = [], []
    for label, name in ((0, "bike"), (1, "Mug"), (4, "dragon")):
        for i in range(6):
            trees.draw(root / "classes" / name / f"{i}.jpg", 10 * label + i)
            trees.draw(root / "flat" / f"a photo {name} {i}.jpg", 10 * label + i)
            labelled.append(f"classes/{name}/{i}.jpg {label}\n")
            plain.append(f"flat/a photo {name} {i}.jpg\n".replace(f" {i}.jpg", f" {i}.jpg"))
    (root / "names.txt").write_text("bike\nmug\nfan\n")
    (root / "labelled.txt").write_text("".join(labelled))
    (root / "plain.txt").write_text("".join(plain))
    (root / "latin.txt").write_bytes("café\nmug\n".encode("latin-1"))
    (root / "comment.txt").write_text("# to wear\nhat\n")
    (root / "empty").mkdir()
    return root


@pytest.fixture
def run(weights, tmp_path):
    def run(dataset: str, path, *options: str, trainer: str = "UEO"):
        size = size_of("vit")
        status = train.main([
            "--dataset-config-file", str(CONFIGS / f"datasets/{dataset}.yaml"), "--config-file",
            str(CONFIGS / "trainers/UEO/tiny_clip.yaml"), "--trainer", trainer, "--path", str(path),
            "--backbone", weights["vit"], "--seed", "1", "--device", "cpu", "--threads", "1",
            "--output-dir", str(tmp_path / "run"), *options, "OPTIM.MAX_EPOCH", "1",
            "INPUT.SIZE", f"({size}, {size})", "DATALOADER.NUM_WORKERS", "0",
        ])
        return status, tmp_path / "run"

    return run


@pytest.mark.draws
def test_images_without_labels_end_in_predictions(run, mine, capsys):
    status, folder = run("folder", mine / "flat", "--names", str(mine / "names.txt"))
    assert status == 0
    result = read(folder)
    assert result["setting"] == "as_is" and result["domain"] == "flat"
    assert result["metrics"]["test"]["pacc"] is None
    assert result["metrics"]["test"]["auroc"] is None
    assert 1 <= result["metrics"]["test"]["classes_predicted"] <= 3
    assert "* no labels" in capsys.readouterr().out
    with open(folder / "predictions.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {p.name for p in (mine / "flat").iterdir()}
    assert {row["class"] for row in rows} <= {"bike", "mug", "fan"}
    assert {row["known"] for row in rows} <= {"yes", "no"}
    outputs = read_outputs(folder)
    assert [float(row["score"]) for row in rows] == pytest.approx(
        outputs["test_scores_after"].tolist(), rel=1e-5)
    assert (folder / "scores.png").is_file()


def test_files_whose_names_are_not_utf8_reach_every_output(run, mine, tmp_path, capsys):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    trees.draw(tmp_path / "flat" / name, 0)
    trees.draw(tmp_path / "flat" / "mug.png", 2)
    (tmp_path / "flat" / name.replace("png", "jpg")).write_bytes(b"no image")
    status, folder = run("folder", tmp_path / "flat", "--names", str(mine / "names.txt"),
                         "DATASET.BAD_IMAGES", "skip", "DATASET.STORE_GB", "0.01")
    assert status == 0
    assert "Skipped" in capsys.readouterr().out
    assert list(read(folder)["skipped_images"]) == [name.replace("png", "jpg")]
    assert name in read_outputs(folder)["test_paths"].tolist()
    with open(folder / "predictions.csv", encoding="utf-8") as file:
        assert {row["image"] for row in csv.DictReader(file)} == {"caf\\udce9.png", "mug.png"}


def test_the_record_says_which_names_have_images(run, mine, capsys):
    status, folder = run("folder", mine / "classes", "--names", str(mine / "names.txt"))
    assert status == 0
    assert read(folder)["names"] == {"with_images": 2, "without_images": ["fan"],
                                     "unknown": ["dragon"], "misspelt": {}}
    assert read(folder)["ignored"] == {"files": {}, "folders": 0}
    assert "Names: 2 of 3 known classes have images; without: 'fan'; unknown classes: 'dragon'" in (
        capsys.readouterr().out)


def test_class_folders_that_are_not_named_are_unknown_classes(run, mine):
    status, folder = run("folder", mine / "classes", "--names", str(mine / "names.txt"))
    assert status == 0
    result = read(folder)
    assert result["counts"]["known_classes"] == 3 and result["counts"]["test"] == 18
    assert result["metrics"]["test"]["auroc"] is not None
    with open(folder / "predictions.csv") as file:
        assert len(list(csv.DictReader(file))) == 18


def test_without_names_every_class_folder_is_known(run, mine):
    status, folder = run("folder", mine / "classes")
    assert status == 0
    assert read(folder)["counts"]["known_classes"] == 3
    assert read(folder)["metrics"]["test"]["auroc"] is None  # no unknown class


def test_a_list_with_labels(run, mine):
    status, folder = run("list", mine / "labelled.txt", "--root", str(mine))
    assert status == 0
    result = read(folder)
    assert result["metrics"]["test"]["auroc"] is not None and result["counts"]["test"] == 18


def test_a_list_of_paths_alone_with_spaces_in_them(run, mine):
    status, folder = run("list", mine / "plain.txt", "--root", str(mine))
    assert status == 0
    assert read(folder)["metrics"]["test"]["pacc"] is None
    assert (folder / "predictions.csv").is_file()


def test_a_train_list_is_used_for_adaptation_and_its_test_list_for_testing(run, mine, tmp_path):
    lines = (mine / "labelled.txt").read_text().splitlines(keepends=True)
    (tmp_path / "mine_train.txt").write_text("".join(lines[::2]))
    (tmp_path / "mine_test.txt").write_text("".join(lines[1::2]))
    status, folder = run("list", tmp_path / "mine_train.txt", "--root", str(mine), "--names",
                         str(mine / "names.txt"))
    assert status == 0
    assert read(folder)["counts"]["unlabelled"] == read(folder)["counts"]["test"] == 9


def test_the_independent_protocol_tests_on_other_images(run, mine):
    status, folder = run("folder", mine / "classes", "--protocol", "independent")
    assert status == 0
    counts = read(folder)["counts"]
    assert counts["unlabelled"] + counts["test"] == 18 and counts["test"] == 6


def test_nothing_is_written_into_the_folder_of_the_images(run, mine, tmp_path):
    photos = shutil.copytree(mine / "classes", tmp_path / "photos")
    (photos / "bike" / "cut.jpg").write_bytes(b"no image")
    there = sorted(photos.rglob("*"))
    status, folder = run("folder", photos, "--root", str(photos), "--protocol", "independent")
    assert status == 0
    assert sorted(photos.rglob("*")) == there
    with open(folder / "skipped.csv") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["bike/cut.jpg"]


def test_exif_orientation_is_applied_in_training_and_prediction(
    run, mine, tmp_path
):
    photos = tmp_path / "photos"
    names = ("--names", str(mine / "names.txt"))
    for number in range(1, 9):
        image = Image.fromarray(picture(np.random.default_rng(number), number % 3, 0))
        exif = image.getexif()
        exif[0x0112] = number
        photos.mkdir(exist_ok=True)
        image.save(photos / f"{number}.jpg", exif=exif)
    status, folder = run("folder", photos, *names)
    assert status == 0
    outputs, paths = read_outputs(folder), sorted(map(str, photos.iterdir()))
    found = [p.score for p in ueo.load(folder, "cpu").predict(paths)]
    assert found == outputs["test_scores_after"].tolist()
    assert export.main(["--model", str(folder), "--output", str(tmp_path / "e"), "--no-onnx"]) == 0
    assert [p.score for p in ueo.load(tmp_path / "e", "cpu").predict(paths, before=False)] == found
    assert "turned as the camera noted (EXIF)" in (tmp_path / "e" / "README.md").read_text()
    assert run("folder", photos, *names, "--overwrite", "DATASET.UPRIGHT", "False")[0] == 0
    as_stored = read_outputs(folder)["test_scores_before"]
    turned = outputs["test_scores_before"] != as_stored
    assert turned.tolist() == [False, *[True] * 7]


def test_the_outcome_names_the_result_files_and_the_next_command(run, mine, tmp_path):
    status, folder = run("folder", mine / "flat", "--names", str(mine / "names.txt"))
    assert status == 0
    lines = outcome(folder).splitlines()
    assert lines[0].startswith("UEO on flat, ") and lines[1].startswith("Images: 18 read")
    assert (folder / "skipped.csv").is_file() and "skipped.csv" not in lines
    for name in ("predictions.csv", "report.html"):
        assert (folder / name).is_file()
        assert any(line.endswith(str(folder / name)) for line in lines)
    assert lines[-1] == f"New images:  bash scripts/predict.sh --model {folder} --path NEW"
    made = (folder / "report.html").stat().st_mtime_ns
    outcome(folder)
    assert (folder / "report.html").stat().st_mtime_ns == made


@pytest.mark.parametrize(("dataset", "path", "options", "parts"), [
    ("folder", "", [], ["--path"]),
    ("folder", "absent", [], ["absent", "does not exist"]),
    ("folder", "flat", ["--path", "gone"], ["gone does not exist (a relative path, looked for in"]),
    ("folder", "flat", [], ["class names", "names.txt", "--names"]),
    ("folder", "labelled.txt", [], ["no folder", "data set list"]),
    ("list", "flat", [], ["no list", "data set folder"]),
    ("folder", "classes", ["--names", "absent.txt"],
     ["absent.txt: cannot be read (No such file or directory) (a relative path, looked for in"]),
    ("folder", "flat", ["--names", "comment.txt"], ["comment.txt, line 1: '# to wear' would be"]),
    ("folder", ".", ["--names", "{mine}/names.txt"], ["no folder has one of the 3 class names"]),
    ("folder", "empty", ["--names", "{mine}/names.txt"], ["empty", "no image in this folder"]),
    ("folder", "flat", ["--names", "latin.txt"], ["latin.txt", "save it as UTF-8"]),
    ("folder", "classes", ["--setting", "open"], ["as_is"]),
    ("folder", "classes", ["--domain", "other"], ["'other'", "'classes'"]),
    ("folder", "classes", ["--protocol", "online", "ONLINE.THEN", "['other']"],
     ["'other'", "your own images are one domain; leave out ONLINE.THEN"]),
    ("list", "labelled.txt", ["--root", "{mine}/flat"], ["18 of its 18 images are missing"]),
    ("folder", "flat", ["--names", "{mine}/names.txt", "TRAINER.UEO.WEIGHTING", "oracle"],
     ["oracle needs labels"]),
])
def test_a_mistake_is_one_line(run, mine, capsys, monkeypatch, dataset, path, options, parts):
    monkeypatch.chdir(mine)
    options = [o.format(mine=mine) for o in options]
    status, folder = run(dataset, path, *options)
    err = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(err) == 1 and err[0].startswith("Error: "), err
    for part in parts:
        assert part in err[0]
    assert not (folder / "result.json").exists()


def test_an_output_folder_among_the_images_is_refused(run, mine, tmp_path, capsys):
    """The next run would read a picture of scores as an image."""
    shutil.copytree(mine / "flat", tmp_path / "flat")
    for output in ("flat", "flat/output/run"):
        assert run("folder", tmp_path / "flat", "--names", str(mine / "names.txt"),
                   "--output-dir", str(tmp_path / output))[0] == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "results would lie among the images" in line and f"{tmp_path}/{output}:" in line
    assert len(list((tmp_path / "flat").iterdir())) == 18


def test_loose_images_beside_class_folders_are_refused(run, mine, tmp_path, capsys):
    trees.draw(tmp_path / "both" / "bike" / "1.jpg", 1)
    trees.draw(tmp_path / "both" / "loose.jpg", 1)
    assert run("folder", tmp_path / "both")[0] == 2
    assert "loose.jpg" in capsys.readouterr().err


def test_one_image_is_adapted_to(run, mine, tmp_path):
    """Its score is the threshold, so it counts as known."""
    trees.draw(tmp_path / "one" / "a.jpg", 1)
    status, folder = run("folder", tmp_path / "one", "--names", str(mine / "names.txt"))
    assert status == 0
    with open(folder / "predictions.csv") as file:
        (row,) = csv.DictReader(file)
    assert row["image"] == "a.jpg" and row["known"] == "yes"
    facts = read_json(folder / "model.json", dict, "")
    assert facts["separation"] == 0 and len(set(facts["thresholds"].values())) == 1


def test_a_model_that_diverged_in_its_last_step_is_refused_without_labels_too(run, mine, capsys):
    status, folder = run("folder", mine / "flat", "--names", str(mine / "names.txt"),
                         "OPTIM.LR", "1e30", "OPTIM.NAME", "sgd")
    assert status == 3 and "Error: 18 of 18 scores are not finite" in capsys.readouterr().err
    assert not (folder / "result.json").exists()


def test_ten_thousand_names(run, mine, tmp_path):
    names = [f"{a} {b} {c}" for a in range(100) for b in range(10) for c in range(10)]
    (tmp_path / "many.txt").write_text("\n".join(names))
    status, folder = run("folder", mine / "flat", "--names", str(tmp_path / "many.txt"),
                         trainer="ZeroshotCLIP")
    assert status == 0 and len(read_json(folder / "model.json", dict, "")["class_names"]) == 10_000
    with open(folder / "predictions.csv") as file:
        assert {row["class"] for row in csv.DictReader(file)} <= set(names)
