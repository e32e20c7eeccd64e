#!/usr/bin/env bash
# TDA (caches features of earlier images) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/tda/main.sh emoji --protocol online [options as in scripts/ueo/main.sh]
METHOD=TDA exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
