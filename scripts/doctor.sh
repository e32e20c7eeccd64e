#!/usr/bin/env bash
# What works on this machine, what is missing, and how long the whole job would take: two minutes.
#   bash scripts/doctor.sh [--root /path/to/data] [--backbone NAME as of train.py] [--json FILE]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands doctor --root "${DATA:-data}" "$@"
