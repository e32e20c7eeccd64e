#!/usr/bin/env bash
# Zero-shot CLIP and one method on a data set; called by <method>/main.sh with METHOD set.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# --trainers comes first, so that the caller's arguments can override it
exec "$PYTHON" -m ueo.commands grid --trainers ZeroshotCLIP "$METHOD" --root "${DATA:-data}" "$@"
