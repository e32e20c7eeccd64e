"""StatA (Zanella et al., CVPR 2025, arXiv:2501.03729): TransCLIP whose Gaussians are anchored to
the text, so that a class with few images or none stays near its text feature.

Formula: ueo/transduction/mixture.py. Released code: github.com/MaxZanella/StatA; its initial
variance divides by the number of images once more for every 2,500 of them, a mistake that is not
repeated here.
"""

from dassl.engine import TRAINER_REGISTRY

from ueo.trainers.transclip import TransCLIP


@TRAINER_REGISTRY.register()
class StatA(TransCLIP):
    anchored = True
