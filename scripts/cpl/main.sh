#!/usr/bin/env bash
# CPL (candidate pseudo-label learning) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/cpl/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=CPL exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
