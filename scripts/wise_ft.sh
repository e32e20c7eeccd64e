#!/usr/bin/env bash
# Interpolate the weights of a finished run with its initial ones (WiSE-FT), or evaluate it on other domains.
#   bash scripts/wise_ft.sh --model-dir RUN [--alpha 0 0.5 1] [--domain Art Clipart] [--classes base new]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands wise_ft --root "${DATA:-data}" "$@"
