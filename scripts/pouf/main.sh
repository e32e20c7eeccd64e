#!/usr/bin/env bash
# POUF (prompt-oriented unsupervised fine-tuning) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/pouf/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=POUF exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
