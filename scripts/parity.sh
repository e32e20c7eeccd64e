#!/usr/bin/env bash
# Compare a checkout of the released UEO code with this project, on the same data, weights and seed.
#   bash scripts/parity.sh --released /path/to/UEO [emoji] [--backbone random:RN50 --steps 10 --epochs 0]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands parity --root "${DATA:-data}" "$@"
