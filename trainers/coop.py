"""Context optimisation, CoOp (Zhou et al., IJCV 2022, arXiv:2109.01134): supervised, few-shot.

Reference: github.com/KaiyangZhou/CoOp. A prompt is learnt on DATASET.NUM_SHOTS labelled images of
each known class:

    L = mean_i CE(logits_i, label_i)

CSC gives each class a context of its own, CLASS_TOKEN_POSITION places the name. The labelled images
are taken out of the test set.
"""

from ueo.settings.shared_names import SHARED
from ueo.trainers.base import CLIPTrainer


@SHARED.register()
class CoOp(CLIPTrainer):
    uses_labels = True
    capturable = True
    defaults = {"TUNE": "prompt"}
