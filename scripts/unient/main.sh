#!/usr/bin/env bash
# UniEnt (unified entropy optimisation) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/unient/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=UniEnt exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
