"""Plain fine-tuning on labelled images: cross-entropy on the class prompts, all weights moving.

    L = mean_i CE(logits_i, label_i)

The class prompts are the classifier and move with the text tower; TUNE visual keeps them, which is
fine-tuning with a frozen zero-shot classifier. This is the cross-entropy ablation of FLYP's public
code (github.com/locuslab/FLYP, src/models/ce_ablation.py) with one prompt a class.
"""

from dassl.engine import TRAINER_REGISTRY

from ueo.trainers.base import CLIPTrainer

WHOLE_MODEL = {  # defaults of the trainers that fine-tune CLIP's own weights
    "TUNE": "model",
    "PREC": "amp",  # steps of a fine-tuning are lost in weights kept in half precision
}


@TRAINER_REGISTRY.register()
class FineTune(CLIPTrainer):
    uses_labels = True
    capturable = True
    defaults = WHOLE_MODEL
