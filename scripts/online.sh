#!/usr/bin/env bash
# Streams (docs/online.md): every online method in one stream, in batches of several sizes and in
# several orders, with what it gains.
#   bash scripts/online.sh emoji_shift                  # the protocol
#   bash scripts/online.sh DATASET [--trainers ZeroshotCLIP UEO TDA] [--setting open] [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands online --root "${DATA:-data}" "$@"
