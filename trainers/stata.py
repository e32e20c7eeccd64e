"""StatA (Zanella et al., CVPR 2025, arXiv:2501.03729): TransCLIP whose Gaussians are anchored to
the text, so that a class of which there are few images, or none, stays where its name is.

Formula: ueo/transduction/mixture.py. Released code: github.com/MaxZanella/StatA; in its first
variance, images are divided by their number once more for each 2,500 of them, which is a mistake
and is not done here.
"""

from dassl.engine import TRAINER_REGISTRY

from ueo.trainers.transclip import TransCLIP


@TRAINER_REGISTRY.register()
class StatA(TransCLIP):
    anchored = True
