#!/usr/bin/env bash
# AdaND (trains a detector of unknown images in the stream) and zero-shot CLIP on a data set: its domains x label spaces x 3 seeds, then the tables.
#   bash scripts/adand/main.sh emoji --protocol online [options as in scripts/ueo/main.sh]
METHOD=AdaND exec bash "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@"
