"""Plain fine-tuning of all weights on labelled images: cross-entropy on the class prompts.

    L = mean_i CE(logits_i, label_i)

The class prompts are the classifier and change with the text tower; with TUNE visual, the text
tower is frozen and the classifier stays zero-shot. This is the cross-entropy ablation of FLYP's
public code (github.com/locuslab/FLYP, src/models/ce_ablation.py) with one prompt a class.
"""

from dassl.engine import TRAINER_REGISTRY

from ueo.trainers.base import CLIPTrainer

WHOLE_MODEL = {  # defaults of the trainers that fine-tune CLIP's own weights
    "TUNE": "model",
    "PREC": "amp",  # weights in half precision would round the small steps away
}


@TRAINER_REGISTRY.register()
class FineTune(CLIPTrainer):
    uses_labels = True
    capturable = True
    defaults = WHOLE_MODEL
