"""Unsupervised domain adaptation: labelled source domains, unlabelled images of the target."""

from dassl.engine.da.adabn import AdaBN
from dassl.engine.da.adda import ADDA
from dassl.engine.da.cdac import CDAC
from dassl.engine.da.dael import DAEL
from dassl.engine.da.dann import DANN
from dassl.engine.da.m3sda import M3SDA
from dassl.engine.da.mcd import MCD
from dassl.engine.da.mme import MME
from dassl.engine.da.se import SE
from dassl.engine.da.source_only import SourceOnly
