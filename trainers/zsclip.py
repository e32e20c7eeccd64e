"""Zero-shot CLIP (Radford et al., ICML 2021, arXiv:2103.00020): the prompt "a photo of a {}.".

Nothing is tuned. Every other method starts from its metrics on the test and unlabelled images.
"""

from ueo.settings.shared_names import SHARED
from ueo.trainers.base import CLIPTrainer


@SHARED.register()
class ZeroshotCLIP(CLIPTrainer):
    deterministic = True  # one seed is enough
    training_free = True
    by_image = True
    defaults = {"CTX_INIT": "template"}
