#!/usr/bin/env bash
# Ablations of UEO: one part changed at a time.
#   bash scripts/ablations.sh emoji [--only uniform oracle] [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands ablations --root "${DATA:-data}" "$@"
