"""Domain generalisation: labelled source domains, and an unseen target."""

from dassl.engine.dg.crossgrad import CrossGrad
from dassl.engine.dg.daeldg import DAELDG
from dassl.engine.dg.ddaig import DDAIG
from dassl.engine.dg.domain_mix import DomainMix
from dassl.engine.dg.vanilla import Vanilla
