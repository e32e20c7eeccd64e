#!/usr/bin/env bash
# CLIP-Adapter (trains with labels) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/clip_adapter/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=CLIPAdapter exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
