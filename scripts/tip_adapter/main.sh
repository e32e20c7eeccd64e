#!/usr/bin/env bash
# Tip-Adapter (needs labels, no training) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/tip_adapter/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=TipAdapter exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
