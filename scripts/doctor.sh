#!/usr/bin/env bash
# Check this machine: what works, what is missing, how long the whole benchmark takes. Needs two minutes.
#   bash scripts/doctor.sh [--root /path/to/data] [--backbone RN50] [--json FILE]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands doctor --root "${DATA:-data}" "$@"
