#!/usr/bin/env bash
# The bench of docs/bench.md: every method on shifted and clean styles, with its gains.
#   bash scripts/bench.sh [--trainers UEO InfoMax] [--models TinyCLIP my/model.safetensors]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands bench --root "${DATA:-data}" "$@"
