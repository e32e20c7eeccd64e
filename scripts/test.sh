#!/usr/bin/env bash
# Every test: set up what is missing, then pytest, a file at a time on each core. Arguments go to
# pytest: -n 0 for one process.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
