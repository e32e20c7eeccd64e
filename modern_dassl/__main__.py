"""`python -m modern_dassl SCRIPT ARGS...`: run a script that imports `dassl` and knows no more."""

import os
import runpy
import sys


def main() -> None:
    """Run the script as `python SCRIPT ARGS...` would, with `dassl` importable."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit("usage: python -m modern_dassl SCRIPT [ARGS...]")
    script = sys.argv[1]
    if not os.path.isfile(script):
        sys.exit(f"Error: {script}: no such script")
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))  # as if the script had been started
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
