#!/usr/bin/env bash
# ZLaP (label propagation from class names to images) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/zlap/main.sh emoji [options as in scripts/ueo/main.sh]
METHOD=ZLaP exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
