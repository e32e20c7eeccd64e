#!/usr/bin/env bash
# TransCLIP (one Gaussian per class, fitted to all images at once) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/transclip/main.sh emoji [options as in scripts/ueo/main.sh]
METHOD=TransCLIP exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
