#!/usr/bin/env bash
# UniEnt+ (UniEnt without a hard split) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/unient_plus/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=UniEntPlus exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
