"""`python -m ueo.commands NAME ARGS...`; the scripts in scripts/ call it.

Importing torch takes seconds. The fork server of a grid imports it too, so main() starts the server
first and both import at the same time.
"""

import os
import sys

import modern_dassl
from ueo.commands import module_of
from ueo.grids import fork_server

WITH_MANY_RUNS = ("grid", "compare", "tune", "ablations", "ood_study", "robust", "bench", "online")
FORK = (*WITH_MANY_RUNS, "doctor")
COMMANDS = ("train", *FORK, "wise_ft", "data", "caption", "export", "parity", "predict")
RUNS_NOTHING = {"--dry-run", "--tables-only", "--help", "-h"}


def main() -> int:
    """Run the command and return its exit status."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in COMMANDS:
        print(f"usage: python -m ueo.commands {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 2
    sys.argv[0] = name
    if name in FORK:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: many runs share the cores
        if not RUNS_NOTHING & set(arguments):
            fork_server.start()
    modern_dassl.announce()
    return module_of(name).main(arguments)


if __name__ == "__main__":
    sys.exit(main())
