#!/usr/bin/env bash
# One method beside zero-shot CLIP on a data set; called by <method>/main.sh with METHOD set.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands grid --root "${DATA:-data}" "$@" --trainers ZeroshotCLIP "$METHOD"
