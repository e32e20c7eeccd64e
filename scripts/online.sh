#!/usr/bin/env bash
# Streams (docs/online.md): the gains of every online method in one stream, with several batch sizes
# and several orders.
#   bash scripts/online.sh emoji_shift                  # the protocol
#   bash scripts/online.sh DATASET [--trainers ZeroshotCLIP UEO TDA] [--setting open] [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands online --root "${DATA:-data}" "$@"
