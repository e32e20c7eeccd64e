#!/usr/bin/env bash
# Measure what fine-tuning with labels costs on other domains, unseen classes and OOD detection; table, claims.
#   bash scripts/robust/main.sh [data set] [--shots 16] [--captions FILE] [--pool PATH] [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../setup.sh"
exec "$PYTHON" -m ueo.commands robust --root "${DATA:-data}" "$@"
