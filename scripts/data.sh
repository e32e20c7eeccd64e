#!/usr/bin/env bash
# Fetch a published data set, or compare one that is there with what is published.
#   bash scripts/data.sh download office_home --root /path/to/data
#   bash scripts/data.sh check office_home --root /path/to/data [--deep]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands data "$@" ${DATA:+--root "$DATA"}
