#!/usr/bin/env bash
# DANCE without a source and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/dance/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=DANCE exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
