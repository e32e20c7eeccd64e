#!/usr/bin/env bash
# Every method on a data set, side by side, each gain over zero-shot CLIP with its paired bootstrap
# interval: scripts/tables.sh on one data set, emoji unless another is named.
#   bash scripts/compare.sh emoji [options as in scripts/ueo/main.sh]
exec bash "$(dirname "${BASH_SOURCE[0]}")/tables.sh" "${@:-emoji}"
