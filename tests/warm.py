"""A Python process that starts with torch imported: it is forked from the fork server of grids,
which has imported what a run needs and computed nothing. Otherwise it is like a fresh process.
"""

import atexit
import contextlib
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import util
from multiprocessing.connection import Connection

import modern_dassl
from ueo.grids import fork_server


class Python:
    """Like subprocess.Popen([sys.executable, *words], env=env, text=True, start_new_session=True)
    with pipes for stdout and stderr. words: "-m" and a module or a script's path; arguments."""

    def __init__(self, *words: str, env: Mapping[str, str] = os.environ):
        fork_server.start()
        (out, its_out), (err, its_err) = (multiprocessing.Pipe(duplex=False) for _ in range(2))
        self.process = multiprocessing.get_context("forkserver").Process(
            target=_run, args=(words, dict(env), os.getcwd(), its_out, its_err))
        self.process.start()
        its_out.close()
        its_err.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno())) for end in (out, err))
        self.pid = self.process.pid

    def kill(self) -> None:
        """Kill the process and its children."""
        with contextlib.suppress(ProcessLookupError):  # it has no process group yet
            os.killpg(self.pid, signal.SIGKILL)
        self.process.kill()

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """Return stdout and stderr once the process ends; stderr must fit into the pipe buffer."""
        watch = threading.Timer(timeout, self.kill)
        watch.start()
        with self.stdout, self.stderr:
            said = self.stdout.read(), self.stderr.read()
        self.process.join()
        watch.cancel()
        return said

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode


def run(*words: str, env: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess:
    """Like subprocess.run([sys.executable, *words], env=env, text=True, capture_output=True)."""
    process = Python(*words, env=env)
    out, err = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _run(words: tuple[str, ...], env: dict[str, str], folder: str, out: Connection,
         err: Connection) -> None:
    """Run `words` in the forked process."""
    os.setsid()
    os.chdir(folder)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.environ.clear()
    os.environ.update(env)
    util.spawnv_passfds = _fork
    multiprocessing.set_start_method(None, force=True)  # as in a fresh process
    importlib.reload(modern_dassl)  # it reads environment variables
    try:
        _as_main(*words)
    finally:
        atexit._run_exitfuncs()


def _as_main(first: str, *others: str) -> None:
    if first == "-m":
        sys.argv = list(others)
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *others]
        sys.path.insert(0, os.path.dirname(first))  # a script can import its neighbours
        runpy.run_path(first, run_name="__main__")


def _fork(path: bytes, words: list[str], kept: tuple[int, ...]) -> int:
    """Fork where the process would start Python for a fork server; the last word is its -c code."""
    pid = os.fork()
    if pid:
        return pid
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in map(int, os.listdir("/dev/fd")):  # a new Python would not inherit these files
            if number > 2 and number not in (*kept, null):
                os.dup2(null, number)  # an object may still close this number
        exec(words[-1], {})
    finally:
        os._exit(1)
