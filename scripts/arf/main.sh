#!/usr/bin/env bash
# ARF (trains with labels) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/arf/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=ARF exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
