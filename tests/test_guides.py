"""The guides to adding a trainer and a data set, followed to the letter."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY, picture, read
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from PIL import Image
from trees import load

from ueo.clip.backbones import load_clip
from ueo.commands import grid
from ueo.commands.arguments import grid_settings
from ueo.errors import DataError
from ueo.grids.plan import plan
from ueo.runs.configure import register
from ueo.trainers.base import CLIPTrainer

TRAINER = (REPOSITORY / "docs" / "add_a_trainer.md").read_text()
DATASET = (REPOSITORY / "docs" / "add_a_dataset.md").read_text()
FILES = ("trainers/bnm.py", "configs/trainers/BNM/common.yaml", "datasets/pacs.py",
         "configs/datasets/pacs.yaml")
OUTSIDE = ("BNM", "BiasedBNM", "Taught", "PACSLists")  # registered by the files in mine/
CLASSES = "dog elephant giraffe guitar horse house person".split()
IMAGES = (5, 3, 4, 3, 4, 3, 5)  # of each class


def blocks(guide: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)


def commands(guide: str) -> list[str]:
    """The commands in a guide, without comments."""
    text = "\n".join(blocks(guide, "bash")).replace("\\\n", " ")
    return [line.split(" #")[0].strip() for line in text.splitlines() if line]


def command(guide: str, part: str) -> list[str]:
    """The words of the one command with this part."""
    (found,) = (line for line in commands(guide) if part in line)
    return shlex.split(found)


@pytest.fixture(scope="module")
def followed(few_emoji, tmp_path_factory):
    """A copy of the repository in which the files of both guides were written, as they say, with
    a few images in PACS's layout and of the emoji set in data/."""
    copy = tmp_path_factory.mktemp("guide") / "repository"

    def left_out(folder: str, names: list[str]) -> list[str]:
        own = [n for n in names if n.startswith(".") or n in ("data", "output")]
        return own if Path(folder) == REPOSITORY else []  # keeps compiled files: no compiler needed

    shutil.copytree(REPOSITORY, copy, ignore=left_out)
    for name in ("trainers", "datasets"):
        (copy / "ueo" / name).symlink_to(copy / name)  # as the installation maps them
    written = []
    for section in re.split(r"^## ", TRAINER + DATASET, flags=re.MULTILINE):
        if file := re.match(r"\d\. .*`(\S+)`\n", section):
            (block,) = blocks(section, "(?:python|yaml)")
            assert block.count("\n") < 60
            (copy / file[1]).parent.mkdir(exist_ok=True)
            (copy / file[1]).write_text(block)
            written.append(file[1])
    assert tuple(written) == FILES
    pictures(copy / "data" / "pacs", ("photo",))
    shutil.copytree(Path(few_emoji) / "emoji", copy / "data" / "emoji")
    return copy


def pictures(folder: Path, domains: tuple[str, ...]) -> None:
    """Generated images in PACS's layout."""
    rng = np.random.default_rng(0)
    for domain in domains:
        for label, (name, images) in enumerate(zip(CLASSES, IMAGES)):
            (folder / domain / name).mkdir(parents=True)
            for i in range(images):
                image = Image.fromarray(picture(rng, label, i % 3))
                image.save(folder / domain / name / f"{i:03}.jpg")


def follow(words: list[str], folder: Path) -> str:
    """Run the command in the copy; return its output."""
    python = {"python": sys.executable}
    environment = {**os.environ, "PYTHONPATH": str(folder), "UEO_PYTHON": sys.executable,
                   "VIRTUAL_ENV": sys.prefix}
    done = subprocess.run([python.get(words[0], words[0]), *words[1:]], cwd=folder, text=True,
                          env=environment, capture_output=True, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_trainer_of_the_guide_runs_by_the_guides_command(followed):
    out = follow([*command(TRAINER, "commands grid"), "--set", "OPTIM.MAX_EPOCH", "1"], followed)
    assert "BNM over ZeroshotCLIP" in out
    (record,) = followed.glob("output/emoji_shift/BNM/*/open/fluent+scene2/seed1")
    assert read(record)["config"]["TRAINER.BNM.STRENGTH"] == 0.5


def test_the_data_set_of_the_guide_runs_by_the_guides_command(followed):
    more = ["DATASET.CHECK_COUNTS", "False"]  # a few images stand for 1,670
    out = follow([*command(DATASET, "OPTIM.MAX_EPOCH"), *more], followed)
    assert "UEO over ZeroshotCLIP" in out and "their number differs" in out
    (record,) = followed.glob("output/pacs/UEO/*/open/photo/seed1")
    result = read(record)
    assert (result["dataset"], result["title"], result["domain"]) == ("UFTPACS", "PACS", "photo")
    assert result["counts"]["unlabelled"] == sum(IMAGES[:6])  # no image of person
    assert result["counts"]["test"] == sum(IMAGES)
    assert result["counts"]["known_classes"] == 5
    assert result["names"]["with_images"] == 5 and result["names"]["unknown"] == CLASSES[5:]


def test_the_tests_include_both(followed):
    first, second = command(TRAINER, "pytest"), command(DATASET, "pytest")
    (*trainers, _, trainer), (*datasets, _, dataset) = first, second
    assert (trainer, dataset) == ("BNM", "UFTPACS")
    both = [*trainers, *datasets[3:], "-k", "BNM or UFTPACS", "-p", "no:cacheprovider"]
    out = follow([*both, "-rA"], followed)
    assert out.count("PASSED") == 14


# what stays outside the repository, and what the guides show besides


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The folder mine/ in a temporary folder. The names that its files register are free, even if
    somebody followed the guide in this repository, and are unregistered after a test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    maps = [registry._obj_map for registry in (TRAINER_REGISTRY, DATASET_REGISTRY)]
    before = [dict(names) for names in maps]
    for name in OUTSIDE:
        maps[0].pop(name, None)
    yield tmp_path / "mine"
    for names, kept in zip(maps, before):
        for name in OUTSIDE:
            names.pop(name, None)
            names.update({name: kept[name]} if name in kept else {})


def planned(guide: str, part: str) -> list:
    """The runs that the guide's command plans."""
    words = command(guide, part)
    settings = grid_settings(grid.parser().parse_args(words[2:]))
    register(settings.plugin)
    return [run for name in settings.datasets for run in plan(settings, name)]


def test_a_trainer_outside_with_an_adapter_trains_it_alone(mine, toy):
    bnm, _, _, biased = blocks(TRAINER, "python")
    (mine / "bnm.py").write_text(bnm)
    (mine / "biased_bnm.py").write_text(biased)
    trainers = {run.settings.trainer for run in planned(TRAINER, "--plugin")}
    assert trainers == {"ZeroshotCLIP", "BNM", "BiasedBNM"}
    plugins = [str(mine / "biased_bnm.py")]
    status, folder = toy(trainer="BiasedBNM", plugins=plugins, epochs=1)
    assert status == 0
    result = read(folder)
    assert result["counts"]["tuned_parameters"] == result["counts"]["known_classes"]
    assert result["config"]["TRAINER.BiasedBNM.STRENGTH"] == 1.0


@pytest.fixture
def taught(mine, toy):
    """Run the guide's method with a teacher for three epochs: taught(name) -> (status, folder)."""
    (mine / "taught.py").write_text(blocks(TRAINER, "python")[2])
    options = ("OPTIM.LR", "0.1", "TRAINER.Taught.CTX_INIT", "a photo of a")
    return lambda name: toy(name, *options, trainer="Taught", epochs=3,
                            plugins=[str(mine / "taught.py")])


def kept_of(folder: Path) -> dict[str, torch.Tensor]:
    """The state dict in the last checkpoint of a run."""
    return torch.load(folder / "tuned" / "model.pth.tar-3")["state_dict"]


def test_a_teacher_follows_the_model_and_is_kept(taught):
    status, folder = taught("taught")
    assert status == 0
    kept = kept_of(folder)
    start = load_clip(read(folder)["config"]["MODEL.BACKBONE.NAME"], "fp32", torch.device("cpu"))
    start = dict(start.model.named_parameters())
    visual = [name for name in kept if name.startswith("visual.")]
    assert visual and len(kept) == 2 * (len(visual) + 1)  # with the context; and the teacher's
    for name in visual:
        moved, followed = kept[name] - start[name], kept[f"teacher.{name}"] - start[name]
        assert 0 < followed.norm() < 0.1 * moved.norm()


def test_a_killed_run_resumes_with_the_same_teacher(taught, monkeypatch):
    def interrupted(trainer) -> None:
        if trainer.epoch == 2:
            raise KeyboardInterrupt

    _, unbroken = taught("unbroken")
    with monkeypatch.context() as patch:
        patch.setattr(CLIPTrainer, "before_epoch", interrupted)
        assert taught("killed")[0] == 130
    status, killed = taught("killed")
    assert status == 0 and read(killed)["metrics"] == read(unbroken)["metrics"]
    first, second = kept_of(unbroken), kept_of(killed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_option_that_the_method_refuses_is_one_line(mine, toy, capsys):
    bnm, check, *_ = blocks(TRAINER, "python")
    (mine / "bnm.py").write_text(f"from ueo.errors import ConfigError\n{bnm}\n{check}")
    options = ("DATALOADER.TRAIN_X.BATCH_SIZE", "1")
    assert toy("x", *options, trainer="BNM", plugins=[str(mine / "bnm.py")])[0] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("BATCH_SIZE: BNM needs at least 2 images a batch")


def test_a_data_set_outside_with_lists_of_its_own(mine, tmp_path):
    (mine / "pacs_lists.py").write_text(blocks(DATASET, "python")[1])
    (mine / "pacs_lists.yaml").write_text("DATASET:\n  NAME: PACSLists\n")
    runs = planned(DATASET, "--plugin")
    assert len(runs) == 64 and {run.config["DATASET.NAME"] for run in runs} == {"PACSLists"}
    kind, root = DATASET_REGISTRY.get("PACSLists"), tmp_path / "pacs"
    pictures(root, ("photo",))
    with pytest.raises(DataError, match="put the lists of PACS there"):
        load(kind, tmp_path, "photo")
    (root / "splits").mkdir()
    for part, chosen in (("train", slice(1, None)), ("crossval", slice(0, 1))):
        lines = [f"photo/{name}/{path.name} {label}\n" for label, name in enumerate(CLASSES, 1)
                 for path in sorted((root / "photo" / name).iterdir())[chosen]]
        (root / "splits" / f"photo_{part}_kfold.txt").write_text("".join(lines))
    data = load(kind, tmp_path, "photo", "open", "independent")
    assert len(data.train_u) == sum(IMAGES[:6]) - 6 and len(data.test) == 7
    assert {Path(i.impath).parent.name: i.label for i in data.test} == {
        name: label for label, name in enumerate(CLASSES)}
    assert len(load(kind, tmp_path, "photo").test) == sum(IMAGES)
