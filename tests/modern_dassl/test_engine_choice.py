"""Which `dassl` is used: genuine where it is installed and can run, ours otherwise."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import modern_dassl

ROOT = Path(modern_dassl.__file__).resolve().parents[1]
OURS = f"modern_dassl {modern_dassl.__version__}"
REPORT = (
    "import modern_dassl, dassl; modern_dassl.announce(); print(modern_dassl.engine_name()); "
    "print('ours' if 'modern_dassl' in dassl.__file__ else 'genuine')"
)
BROKEN = "super().__init__(optimizer, last_epoch, verbose)\n"


def python(*arguments, path=(), cwd=None, **environment):
    """Run Python with our repository and the folders `path` on its search path."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("UEO_ENGINE")}
    env |= {"PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])), **environment}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=env, cwd=cwd
    )


def report(path=(), **environment):
    """(lines printed, exit status)."""
    done = python("-c", REPORT, path=path, **environment)
    return (done.stdout or done.stderr).splitlines(), done.returncode


@pytest.fixture
def genuine(tmp_path):
    """genuine(scheduler=source): folder with a package that looks like genuine Dassl."""

    def make(scheduler=""):
        package = tmp_path / "site" / "dassl"
        (package / "optim").mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text('__version__ = "0.6.3"\n')
        (package / "optim" / "lr_scheduler.py").write_text(scheduler)
        return package.parent

    return make


def test_ours_without_genuine():
    lines, _ = report()
    assert lines == [f"Engine: {OURS}", OURS, "ours"]


def test_genuine_where_it_runs(genuine):
    lines, _ = report([genuine()])
    assert lines == ["Engine: dassl 0.6.3", "dassl 0.6.3", "genuine"]


def test_ours_where_genuine_cannot_run(genuine):
    lines, _ = report([genuine(BROKEN)])
    assert lines[1:] == [OURS, "ours"]
    assert "dassl 0.6.3 is installed but not used: its warm-up schedulers fail" in lines[0]


def test_ours_where_genuine_lacks_what_it_imports(genuine):
    site = genuine()
    (site / "dassl" / "data" / "datasets" / "dg" / "wilds").mkdir(parents=True)
    if importlib.util.find_spec("wilds") is None:
        assert "it imports wilds, which is not installed" in report([site])[0][0]
    (site / "wilds.py").touch()
    assert report([site])[0][0] == "Engine: dassl 0.6.3"


def test_forced(genuine):
    site = genuine(BROKEN)
    assert report([site], UEO_ENGINE="dassl")[0][1:] == ["dassl 0.6.3", "genuine"]
    assert report([site], UEO_ENGINE="builtin")[0][1:] == [OURS, "ours"]
    lines, status = report(UEO_ENGINE="dassl")
    assert status == 1
    assert lines[-1].startswith("ImportError: UEO_ENGINE=dassl, but Dassl is not installed")
    assert "must be builtin or dassl" in report(UEO_ENGINE="other")[0][-1]


def test_a_folder_of_that_name_is_no_package(tmp_path):
    (tmp_path / "dassl").mkdir()  # somebody's checkout, say
    assert report([tmp_path])[0][1:] == [OURS, "ours"]


def test_importing_it_says_nothing(genuine):
    assert python("-c", "import modern_dassl, dassl", path=[genuine(BROKEN)]).stdout == ""


def test_another_dassl_imported_first(genuine):
    code = "import dassl, os; os.environ['UEO_ENGINE'] = 'builtin'; import modern_dassl"
    done = python("-c", code, path=[genuine()])
    assert "put `import modern_dassl` first" in done.stderr


def test_python_m_runs_a_script_that_knows_nothing_of_us(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "beside.py").write_text("WORD = 'found'\n")
    (folder / "script.py").write_text(
        "import sys, beside, dassl\n"
        "if __name__ == '__main__':\n"
        "    print(sys.argv, beside.WORD, dassl.__name__)\n"
    )
    script = str(folder / "script.py")
    done = python("-m", "modern_dassl", script, "--root", "x", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == f"{[script, '--root', 'x']} found dassl"
    done = python("-m", "modern_dassl", "absent.py", cwd=tmp_path)
    assert done.returncode == 1 and "absent.py: no such script" in done.stderr


SAYS = (
    "import dassl\nimport modern_dassl\n"
    "print(modern_dassl.engine_name())\n"
    "print('ours' if 'modern_dassl' in dassl.__file__ else 'genuine')\n"
)
WAYS = {  # how a script is started
    "script": ["-m", "modern_dassl", "elsewhere/script.py"],
    "joined": ["-mmodern_dassl", "elsewhere/script.py"],
    "module": ["-m", "modern_dassl", "-m", "elsewhere.script"],
}


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "script.py").write_text(SAYS)
    return folder


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("scheduler", "environment", "expected"), [
    (BROKEN, {}, "ours"),
    (BROKEN, {"PYTHONSAFEPATH": "1"}, "ours"),
    ("", {}, "genuine"),
    ("", {"UEO_ENGINE": "builtin"}, "ours"),
    ("", {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, "ours"),
    (BROKEN, {"UEO_ENGINE": "dassl"}, "genuine"),
], ids=["unfit", "unfit-safe", "fit", "builtin", "torchrun", "forced"])
def test_what_python_m_says_is_what_the_script_imports(
    words, scheduler, environment, expected, genuine, script, tmp_path
):
    if "PYTHONSAFEPATH" in environment and words == WAYS["module"]:
        pytest.skip("the current folder is not searched then")
    done = python(*words, path=[genuine(scheduler)], cwd=tmp_path, **environment)
    said, name, imported = done.stdout.splitlines()
    assert name == {"ours": OURS, "genuine": "dassl 0.6.3"}[expected], done.stderr
    assert imported == expected and said.split(" (")[0] == f"Engine: {name}"


def test_a_dassl_beside_the_caller_is_not_the_scripts(script, tmp_path):
    """python SCRIPT does not search the current folder either."""
    package = tmp_path / "dassl"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "0.6.3"\n')
    done = python("-m", "modern_dassl", "elsewhere/script.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [f"Engine: {OURS}", OURS, "ours"]
    package.rename(script / "dassl")
    done = python("-m", "modern_dassl", "elsewhere/script.py", cwd=tmp_path)
    assert done.stdout.splitlines() == ["Engine: dassl 0.6.3", "dassl 0.6.3", "genuine"]


def test_our_folder_on_the_search_path_takes_nothing_from_genuine(genuine):
    ours = Path(modern_dassl.__file__).parent
    assert report([ours, genuine()])[0] == ["Engine: dassl 0.6.3", "dassl 0.6.3", "genuine"]
    assert report([ours, genuine(BROKEN)])[0][1:] == [OURS, "ours"]


def test_the_name_is_refused_where_another_was_imported_after_all(genuine):
    code = (
        "import sys, modern_dassl\n"
        f"sys.path.insert(0, {str(genuine())!r})\n"
        "import dassl\n"
        "modern_dassl.engine_name()"
    )
    done = python("-c", code)
    assert done.returncode == 1
    assert f"{OURS} in " in done.stderr and "`import dassl` gives " in done.stderr
