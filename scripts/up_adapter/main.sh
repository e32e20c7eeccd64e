#!/usr/bin/env bash
# UP-Adapter (unsupervised prototype adapter) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/up_adapter/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=UPAdapter exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
