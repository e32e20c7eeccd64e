#!/usr/bin/env bash
# Download a published data set, check a local copy against it, or pack images into shards.
#   bash scripts/data.sh download office_home --root /path/to/data
#   bash scripts/data.sh check office_home --root /path/to/data [--deep]
#   bash scripts/data.sh shard my/photos
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
[ "${1:-}" = shard ] || set -- "$@" ${DATA:+--root "$DATA"}
exec "$PYTHON" -m ueo.commands data "$@"
