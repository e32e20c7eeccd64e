"""`python -m modern_dassl SCRIPT ARGS...`: run an unchanged script that imports `dassl`.

`python -m modern_dassl -m MODULE ARGS...` runs a module in the same way.
"""

import os
import runpy
import sys
from pathlib import Path

import modern_dassl

USAGE = "usage: python -m modern_dassl SCRIPT [ARGS...], or -m MODULE [ARGS...]"


def main() -> None:
    """Run the script like `python SCRIPT ARGS...`, with `dassl` importable."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help") or words == ["-m"]:
        sys.exit(USAGE)
    if words[0] == "-m":
        sys.argv = words[1:]
        _use(os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    if not os.path.isfile(words[0]):
        sys.exit(f"Error: {words[0]}: no such script")
    sys.argv = words
    here = os.getcwd()
    folder = os.path.dirname(os.path.abspath(words[0]))
    if here in sys.path and not getattr(sys.flags, "safe_path", False):
        # `python -m` put the current folder there, `python SCRIPT` puts the script's
        sys.path[sys.path.index(here)] = folder
    _use(folder)
    runpy.run_path(words[0], run_name="__main__")


def _use(folder: str) -> None:
    """Choose and announce the engine of a script in `folder`."""
    try:
        modern_dassl.use(Path(folder))
    except ImportError as error:
        sys.exit(f"Error: {error}")
    modern_dassl.announce()


if __name__ == "__main__":
    main()
