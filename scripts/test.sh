#!/usr/bin/env bash
# Run all tests with pytest, one file at a time on each core. Arguments go to pytest, such as -n 0
# for a single process.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
