#!/usr/bin/env bash
# CLIPTTA with outlier exposure and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/cliptta/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=CLIPTTA exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
