#!/usr/bin/env bash
# What works on this machine, what is missing, and how long the whole job would take: two minutes.
#   bash scripts/doctor.sh [--root /path/to/data] [--backbone ViT-B/16] [--json FILE]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands doctor --root "${DATA:-data}" "$@"
