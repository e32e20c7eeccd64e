"""Commands in the documents run as written: the real shell script, up to the plan.

The script gets a stand-in for Python that records what it should run. The test runs this with
--dry-run, on photographs and names at the places that the document names. Commands of the two
guides are run by test_guides.py. A line with "..." is not a whole command.
"""

import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY, picture
from PIL import Image
from test_docs import DOCUMENTS, command_of, typed
from trees import office_home

from ueo.commands import data, module_of, train

GRIDS = ("grid", "compare", "tune", "ablations", "ood_study", "robust", "online")
STAND_IN = """#!/usr/bin/env bash
[ "$1 $2" = "-m ueo.commands" ] && printf '%s\\n' "${@:3}" >"$CALLED"
exit 0
"""


def shown(*commands: str) -> list[str]:
    """Lines in the documents that call one of these commands through a script."""
    guides = ("docs/add_a_trainer.md", "docs/add_a_dataset.md")
    lines = [line.strip() for file, text in DOCUMENTS.items() if file not in guides
             for line in typed(text)]
    return [line for line in dict.fromkeys(lines)
            if line.startswith("bash ") and not {"...", "mine/"} & {w[:5] for w in line.split()}
            and command_of(REPOSITORY / line.split()[1]) in commands]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working folder with the files that the documents' commands name."""
    rng = np.random.default_rng(0)
    for name in ("mug", "sun"):
        folder = tmp_path / "my" / "photos" / name
        folder.mkdir(parents=True)
        for i in range(2):
            Image.fromarray(picture(rng, i, 0)).save(folder / f"{i}.png")
    assert data.main(["shard", str(tmp_path / "my" / "photos")]) == 0
    (tmp_path / "my" / "names.txt").write_text("mug\nsun\n")
    (tmp_path / "my" / "list.txt").write_text("my/photos/mug/0.png\nmy/photos/sun/1.png\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called(line: str, desk) -> list[str]:
    """The command of ueo.commands, and its arguments, that the line's script gives to Python."""
    python = desk / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "UEO_PYTHON": str(python),
                   "CALLED": str(desk / "called")}
    bash, script, *words = shlex.split(line)
    done = subprocess.run([bash, str(REPOSITORY / script), *words], cwd=desk, env=environment,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return (desk / "called").read_text().splitlines()


@pytest.mark.parametrize("line", shown(*GRIDS))
def test_a_command_that_a_document_shows_plans_its_runs(line, desk, capsys):
    command, *arguments = called(line, desk)
    arguments += ["--root", str(desk), "--output", str(desk / "output"), "--dry-run"]
    status = module_of(command).main(arguments)
    out, err = capsys.readouterr()
    if "--tables-only" in arguments:  # there is no run yet
        assert status == 2 and "no run has a record" in err
    else:
        assert status == 0, err
        assert " to do" in out


@pytest.mark.parametrize("line", [line for line in shown("data") if " check office_home" in line])
def test_a_check_that_a_document_shows_reads_the_data(line, desk, capsys):
    office_home(desk)  # two images per class, fewer than published
    assert data.main(called(line.replace("/path/to/data", str(desk)), desk)[1:]) == 1
    lines = capsys.readouterr().out.splitlines()
    domains = [line.split()[1] for line in lines]
    assert domains == ["Art:", "Clipart:", "Product:", "RealWorld:"]
    assert all("DIFFERS: 130 images" in line for line in lines)


def test_the_help_that_a_document_names_exists(capsys):
    assert any("python train.py --help" in text for text in DOCUMENTS.values())
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    assert ended.value.code == 0 and "--dataset-config-file" in capsys.readouterr().out
