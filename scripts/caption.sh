#!/usr/bin/env bash
# Caption the images of a folder, for the trainer ARF.
#   bash scripts/caption.sh --images data/my/images --output captions.jsonl
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands caption "$@"
