#!/usr/bin/env bash
# Fetch a published data set, compare one that is there with what is published, or make shards.
#   bash scripts/data.sh download office_home --root /path/to/data
#   bash scripts/data.sh check office_home --root /path/to/data [--deep]
#   bash scripts/data.sh shard my/photos
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
[ "${1:-}" = shard ] || set -- "$@" ${DATA:+--root "$DATA"}
exec "$PYTHON" -m ueo.commands data "$@"
