#!/usr/bin/env bash
# One method beside zero-shot CLIP on a data set; called by <method>/main.sh with METHOD set.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# before the words of the call, so that these can name other trainers
exec "$PYTHON" -m ueo.commands grid --trainers ZeroshotCLIP "$METHOD" --root "${DATA:-data}" "$@"
