"""`python -m modern_dassl SCRIPT ARGS...`: run a script that imports `dassl` and knows no more.

`python -m modern_dassl -m MODULE ARGS...` runs a module so.
"""

import os
import runpy
import sys

import modern_dassl

USAGE = "usage: python -m modern_dassl SCRIPT [ARGS...], or -m MODULE [ARGS...]"


def main() -> None:
    """Run it as `python SCRIPT ARGS...` would, with `dassl` importable."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help") or words == ["-m"]:
        sys.exit(USAGE)
    if words[0] == "-m":
        sys.argv = words[1:]
        _use()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    if not os.path.isfile(words[0]):
        sys.exit(f"Error: {words[0]}: no such script")
    sys.argv = words
    here = os.getcwd()
    if here in sys.path and not getattr(sys.flags, "safe_path", False):
        # `python -m` put the current folder there, `python SCRIPT` puts the script's
        sys.path[sys.path.index(here)] = os.path.dirname(os.path.abspath(words[0]))
    _use()
    runpy.run_path(words[0], run_name="__main__")


def _use() -> None:
    modern_dassl.use()
    modern_dassl.announce()


if __name__ == "__main__":
    main()
