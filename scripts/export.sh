#!/usr/bin/env bash
# Export a finished run as one portable folder: weights, threshold, a card, an ONNX file.
#   bash scripts/export.sh --model output/folder/UEO/vit_b16/as_is/photos/seed1
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands export "$@"
