#!/usr/bin/env bash
# Every trainer (or those of --trainers) on the named data sets, then the tables.
#   bash scripts/tables.sh --dry-run all                 list the runs on the 15 domains
#   DATA=/path/to/data bash scripts/tables.sh office31 office_home [--backbone ViT-B/16]
#   bash scripts/tables.sh all --tables-only --reference published.csv
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands grid --trainers all --root "${DATA:-data}" "$@"
