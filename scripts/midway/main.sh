#!/usr/bin/env bash
# Midway and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/midway/main.sh emoji_shift [options as in scripts/ueo/main.sh]
METHOD=Midway exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
