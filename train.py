"""One run: adapt one trainer to one domain under one label space, evaluate it, write its record.

    python train.py --root data --trainer UEO --dataset-config-file configs/datasets/emoji.yaml \\
        --config-file configs/trainers/UEO/tiny_clip.yaml --domain fluent --setting open \\
        --seed 1 --output-dir output/try [KEY VALUE ...]

The command line is that of the CoOp family; KEY VALUE pairs set configuration keys. A finished
run is not repeated; an interrupted one resumes.
"""

import sys

import modern_dassl
from ueo.commands.train import main

if __name__ == "__main__":
    modern_dassl.announce()
    sys.exit(main())
