"""Semi-supervised learning: some images are labelled, most are not."""

from dassl.engine.ssl.entmin import EntMin
from dassl.engine.ssl.fixmatch import FixMatch
from dassl.engine.ssl.mean_teacher import MeanTeacher
from dassl.engine.ssl.mixmatch import MixMatch
from dassl.engine.ssl.sup_baseline import SupBaseline
