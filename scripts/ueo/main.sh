#!/usr/bin/env bash
# Zero-shot CLIP and UEO on a data set: its target domains x four label spaces x 3 seeds, then the table.
#   bash scripts/ueo/main.sh                         the demonstration, with InfoMax and EntMin too
#   bash scripts/ueo/main.sh emoji --domain fluent --setting open --seed 1
#   DATA=/path/to/data bash scripts/ueo/main.sh DATASET [--backbone ViT-B/16] [--set KEY VALUE ...]
METHOD=UEO exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
