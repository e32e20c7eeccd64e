#!/usr/bin/env bash
# Choose each method's learning rate on the tuning domain of a data set.
#   bash scripts/tune.sh emoji [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands tune --root "${DATA:-data}" "$@"
