#!/usr/bin/env bash
# Streams (docs/online.md): every online method at several sizes of a batch and in several orders, with what it gains.
#   bash scripts/online.sh emoji_shift [--trainers ZeroshotCLIP UEO TDA] [--setting open] [options as in scripts/ueo/main.sh]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
exec "$PYTHON" -m ueo.commands online --root "${DATA:-data}" "$@"
