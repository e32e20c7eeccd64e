#!/usr/bin/env bash
# Fine-tuning with class prompts (trains with labels) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/finetune/main.sh emoji [--recipe paper] [options as in scripts/ueo/main.sh]
METHOD=FineTune exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
