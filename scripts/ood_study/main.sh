#!/usr/bin/env bash
# Compare OOD scores after fine-tuning: methods x shots x scores x seeds; table, claims, pictures.
#   bash scripts/ood_study/main.sh [data set] [--shots 1 4 16] [--shift] [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
exec "$PYTHON" -m ueo.commands ood_study --root "${DATA:-data}" "$@"
