"""Which `dassl` is used: genuine where it is installed and can run, ours otherwise."""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import modern_dassl
from modern_dassl import genuine as genuine_dassl

ROOT = Path(modern_dassl.__file__).resolve().parents[1]
OURS = f"modern_dassl {modern_dassl.__version__}"
REPORT = (
    "import modern_dassl, dassl; modern_dassl.announce(); print(modern_dassl.engine_name()); "
    "print('ours' if 'modern_dassl' in dassl.__file__ else 'genuine')"
)
BROKEN = "super().__init__(optimizer, last_epoch, verbose)\n"


def python(*arguments, path=(), cwd=None, executable=sys.executable, **environment):
    """Run Python with our repository and the folders `path` on its search path."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("UEO_ENGINE")}
    env |= {"PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])), **environment}
    return subprocess.run(
        [executable, *arguments], capture_output=True, text=True, env=env, cwd=cwd
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
        (package / "__init__.py").write_text('__version__ = "0.6.2"\n')
        (package / "optim" / "lr_scheduler.py").write_text(scheduler)
        (package / "config.py").touch()
        return package.parent

    return make


def test_ours_without_genuine():
    lines, _ = report()
    assert lines == [f"Engine: {OURS}", OURS, "ours"]


def test_genuine_where_it_runs(genuine):
    lines, _ = report([genuine()])
    assert lines == ["Engine: dassl 0.6.2", "dassl 0.6.2", "genuine"]


def test_ours_where_genuine_cannot_run(genuine):
    lines, _ = report([genuine(BROKEN)])
    assert lines[1:] == [OURS, "ours"]
    assert "dassl 0.6.2 is installed but not used: its warm-up schedulers fail" in lines[0]


def test_ours_where_genuine_lacks_what_it_imports(genuine):
    site = genuine()
    (site / "dassl" / "data" / "datasets" / "dg" / "wilds").mkdir(parents=True)
    if importlib.util.find_spec("wilds") is None:
        assert "it imports wilds, which is not installed" in report([site])[0][0]
    (site / "wilds.py").touch()
    assert report([site])[0][0] == "Engine: dassl 0.6.2"


def test_forced(genuine):
    site = genuine(BROKEN)
    assert report([site], UEO_ENGINE="dassl")[0][1:] == ["dassl 0.6.2", "genuine"]
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
    "import modern_dassl\n"
    "import dassl.config as module\n"
    "if __name__ == '__main__':\n"
    "    print(modern_dassl.engine_name())\n"
    "    print('ours' if 'modern_dassl' in module.__file__ else 'genuine')\n"
)
WAYS = {  # how a script is started
    "script": ["-m", "modern_dassl", "elsewhere/script.py"],
    "joined": ["-mmodern_dassl", "elsewhere/script.py"],
    "module": ["-m", "modern_dassl", "-m", "elsewhere.script"],
    "package": ["-m", "elsewhere"],  # its __init__.py imports both
}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
SETTINGS = {  # the scheduler of the package, the environment, what must run
    "unfit": (BROKEN, {}, "ours"),
    "fit": ("", {}, "genuine"),
    "builtin": ("", {"UEO_ENGINE": "builtin"}, "ours"),
    "forced": (BROKEN, {"UEO_ENGINE": "dassl"}, "genuine"),
}


@pytest.fixture
def script(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "script.py").write_text(SAYS)
    (folder / "__init__.py").write_text("import modern_dassl\nimport dassl\n")
    (folder / "__main__.py").write_text("modern_dassl = __import__('modern_dassl')\n"
                                        "modern_dassl.announce()\n" + SAYS)
    return folder


PLACES = ("PYTHONPATH", "develop", "site-packages")


@pytest.fixture
def installed(tmp_path, genuine):
    """installed(place, scheduler): (Python that has genuine's look-alike there, PYTHONPATH)."""

    def make(place, scheduler):
        site = genuine(scheduler)
        if place == "PYTHONPATH":
            return sys.executable, [site]
        venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
        (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
        if place == "develop":
            (packages / "easy-install.pth").write_text(f"{site}\n")
        else:
            shutil.move(site / "dassl", packages / "dassl")
        (packages / "rest.pth").write_text("\n".join(p for p in sys.path if "packages" in p))
        return tmp_path / "venv" / "bin" / "python", []

    return make


def check(done, expected):
    said, name, imported = done.stdout.splitlines()
    assert name == {"ours": OURS, "genuine": "dassl 0.6.2"}[expected], done.stderr
    assert imported == expected and said.split(" (")[0] == f"Engine: {name}"


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_announced_is_what_runs(place, setting, installed, script, tmp_path):
    scheduler, environment, expected = SETTINGS[setting]
    executable, path = installed(place, scheduler)
    for words in WAYS.values():
        check(python(*words, path=path, cwd=tmp_path, executable=executable, **environment),
              expected)


def test_under_torchrun_too(installed, script, tmp_path):
    executable, path = installed("develop", "")
    start = {"path": path, "cwd": tmp_path, "executable": executable, **TORCHRUN}
    check(python(*WAYS["script"], **start), "ours")
    done = python(*WAYS["script"], UEO_ENGINE="dassl", **start)
    assert done.returncode == 1
    assert done.stderr == ("Error: UEO_ENGINE=dassl: dassl 0.6.2 cannot be used, it knows one "
                           "process only, and torchrun started several\n")


def test_a_safe_path(genuine, script, tmp_path):
    done = python(*WAYS["script"], path=[genuine(BROKEN)], cwd=tmp_path, PYTHONSAFEPATH="1")
    check(done, "ours")


def copy_in(repository, text="# changed\n", scheduler=BROKEN, folder="Dassl.pytorch"):
    """A changed Dassl 0.6.3 inside a repository: the folder that holds it."""
    package = repository / folder / "dassl"
    (package / "optim").mkdir(parents=True)
    (package / "__init__.py").write_text(f'__version__ = "0.6.3"\n{text}')
    (package / "optim" / "lr_scheduler.py").write_text(scheduler)
    (package / "config.py").touch()
    return package.parent


def test_a_repositorys_own_copy_is_used_where_it_runs(genuine, script, tmp_path):
    own = copy_in(script, scheduler="")
    done = python(*WAYS["script"], path=[genuine()], cwd=tmp_path)
    assert done.stdout.splitlines() == [
        f"Engine: dassl 0.6.3, changed (of {own})", "dassl 0.6.3, changed", "genuine"
    ]
    done = python(*WAYS["script"], path=[genuine()], cwd=tmp_path, UEO_ENGINE="builtin")
    check(done, "ours")
    assert f"own dassl 0.6.3, changed in {own} is not used: UEO_ENGINE=builtin" in done.stdout


@pytest.mark.parametrize("folder", ["Dassl.pytorch", ""])
def test_a_repositorys_own_copy_is_named_where_it_cannot_run(script, tmp_path, folder):
    (tmp_path / "README.md").touch()  # the root of the repository is one folder up
    own = copy_in(tmp_path, folder=folder)
    done = python(*WAYS["script"], cwd=tmp_path)
    check(done, "ours")
    assert f"own dassl 0.6.3, changed in {own} is not used: its warm-up" in done.stdout
    done = python(*WAYS["script"], cwd=tmp_path, UEO_ENGINE="dassl")
    assert done.stdout.splitlines()[1:] == ["dassl 0.6.3, changed", "genuine"]


def test_an_unchanged_copy_in_a_repository_is_left_alone(script, tmp_path, monkeypatch):
    own = copy_in(script)
    monkeypatch.setattr(genuine_dassl, "is_changed", lambda folder: folder != own / "dassl")
    assert genuine_dassl.changed_copy(script) is None


def test_a_dassl_beside_the_caller_is_not_the_scripts(script, tmp_path):
    """python SCRIPT does not search the current folder either."""
    package = tmp_path / "dassl"
    package.mkdir()
    (package / "__init__.py").write_text('__version__ = "0.6.2"\n')
    (package / "config.py").touch()
    done = python("-m", "modern_dassl", "elsewhere/script.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [f"Engine: {OURS}", OURS, "ours"]
    package.rename(script / "dassl")
    done = python("-m", "modern_dassl", "elsewhere/script.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        f"Engine: dassl 0.6.2 (of {script})", "dassl 0.6.2", "genuine"
    ]


def test_our_folder_on_the_search_path_takes_nothing_from_genuine(genuine):
    ours = Path(modern_dassl.__file__).parent
    assert report([ours, genuine()])[0] == ["Engine: dassl 0.6.2", "dassl 0.6.2", "genuine"]
    assert report([ours, genuine(BROKEN)])[0][1:] == [OURS, "ours"]


def test_a_later_search_path_changes_nothing(genuine, script):
    (script / "script.py").write_text(
        f"import sys; sys.path.insert(0, {str(genuine(BROKEN))!r})\n" + SAYS
    )
    check(python("-m", "modern_dassl", str(script / "script.py")), "ours")


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
