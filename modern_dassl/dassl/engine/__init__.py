"""Trainers: the loop over epochs and batches, models, checkpoints, evaluation; built-in methods."""

from dassl.engine.build import TRAINER_REGISTRY, build_trainer
from dassl.engine.da import ADDA, CDAC, DAEL, DANN, M3SDA, MCD, MME, SE, AdaBN, SourceOnly
from dassl.engine.dg import DAELDG, DDAIG, CrossGrad, DomainMix, Vanilla
from dassl.engine.ssl import EntMin, FixMatch, MeanTeacher, MixMatch, SupBaseline
from dassl.engine.trainer import SimpleNet, SimpleTrainer, TrainerBase, TrainerX, TrainerXU

from modern_dassl.lent_names import lend_below

lend_below(__name__)
