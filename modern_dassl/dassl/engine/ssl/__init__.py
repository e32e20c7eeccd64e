"""Semi-supervised learning: some images are labelled, most are not."""

from dassl.engine.ssl.entmin import EntMin
from dassl.engine.ssl.fixmatch import FixMatch
from dassl.engine.ssl.mean_teacher import MeanTeacher
from dassl.engine.ssl.mixmatch import MixMatch
from dassl.engine.ssl.sup_baseline import SupBaseline

from modern_dassl.lent_names import lend_below

__all__ = ["EntMin", "FixMatch", "MeanTeacher", "MixMatch", "SupBaseline"]
lend_below(__name__)
