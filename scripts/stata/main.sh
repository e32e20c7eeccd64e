#!/usr/bin/env bash
# Gaussians anchored to the text on all images at once (StatA) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/stata/main.sh emoji [options as in scripts/ueo/main.sh]
METHOD=StatA exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
