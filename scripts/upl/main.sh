#!/usr/bin/env bash
# UPL (unsupervised prompt learning) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/upl/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=UPL exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
