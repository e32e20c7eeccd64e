#!/usr/bin/env bash
# Predict new images (a folder, a list or one image) with the model of a finished run.
#   bash scripts/predict.sh --model RUN --path NEW [--output CSV] [--threshold RULE|NUMBER] [--no-before]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands predict "$@"
