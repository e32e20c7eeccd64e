#!/usr/bin/env bash
# Every trainer of this project (or those of --trainers) on the data sets named, then the tables.
#   bash scripts/tables.sh --dry-run all                 the 15 domains: what would run
#   DATA=/path/to/data bash scripts/tables.sh office31 office_home [--backbone ViT-B/16]
#   bash scripts/tables.sh all --tables-only --reference published.csv
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands grid --trainers all --root "${DATA:-data}" "$@"
