"""Domain generalisation: labelled source domains, and an unseen target."""

from dassl.engine.dg.crossgrad import CrossGrad
from dassl.engine.dg.daeldg import DAELDG
from dassl.engine.dg.ddaig import DDAIG
from dassl.engine.dg.domain_mix import DomainMix
from dassl.engine.dg.vanilla import Vanilla

from modern_dassl.lent_names import lend_below

__all__ = ["DAELDG", "DDAIG", "CrossGrad", "DomainMix", "Vanilla"]
lend_below(__name__)
