#!/usr/bin/env bash
# Compare all methods on a data set (default: emoji): the usual tables, then one of all methods by group,
# with what each method uses, its gains over zero-shot CLIP with intervals, and its seconds.
#   bash scripts/compare.sh office_home [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands compare --root "${DATA:-data}" "$@"
