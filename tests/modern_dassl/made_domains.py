"""Three domains of tiny images, a tiny backbone, and the options that each built-in trainer needs.
"""

import numpy as np
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.modeling import BACKBONE_REGISTRY, Backbone
from PIL import Image
from torch import nn
from torch.nn import functional as F

CLASSES, DOMAINS = 3, 3
SIDE = 16


def write_images(folder) -> None:
    """domain_class_number.png, 8 of each; a class is a bright channel, a domain a contrast."""
    generator = np.random.default_rng(0)
    for domain in range(DOMAINS):
        for label in range(CLASSES):
            for number in range(8):
                pixels = generator.normal(90 + 20 * domain, 20, (SIDE, SIDE, 3))
                pixels[..., label] += 60 - 10 * domain
                pixels = pixels.clip(0, 255).astype("uint8")
                Image.fromarray(pixels).save(folder / f"{domain}_{label}_{number}.png")


@DATASET_REGISTRY.register()
class Contrasts(DatasetBase):
    """Domains 0 and 1 labelled, 2 unlabelled and to test on."""

    def __init__(self, cfg):
        def domain(number, images):
            return [Datum(f"{cfg.DATASET.ROOT}/{number}_{label}_{i}.png", label, number, f"{label}")
                    for i in images for label in range(CLASSES)]

        target = domain(2, range(8))
        super().__init__(domain(0, range(6)) + domain(1, range(6)), target, None, target)


@BACKBONE_REGISTRY.register()
class Tiny(Backbone):
    """(batch, 3, 16, 16) -> (batch, 8)."""

    def __init__(self, **kwargs):
        super().__init__()
        self._out_features = 8
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x))).mean((2, 3))


BY_DOMAIN = ("DATALOADER.TRAIN_X.SAMPLER", "RandomDomainSampler",
             "DATALOADER.TRAIN_X.N_DOMAIN", 2, "DATALOADER.TRAIN_U.SAME_AS_X", False,
             "DATALOADER.TRAIN_U.BATCH_SIZE", 12)
STRONG = ["random_flip", "cutout", "normalize"]
TWO_VIEWS = ("DATALOADER.K_TRANSFORMS", 2)
TRAINERS = {  # name: options
    "SourceOnly": (), "DANN": (), "MME": (), "MCD": (), "AdaBN": (), "ADDA": (),
    "SE": (*TWO_VIEWS, "TRAINER.SE.CONF_THRE", 0.4, "TRAINER.SE.EMA_ALPHA", 0.9),
    "M3SDA": BY_DOMAIN,
    "DAEL": (*BY_DOMAIN, "TRAINER.DAEL.STRONG_TRANSFORMS", STRONG, "TRAINER.DAEL.CONF_THRE", 0.4),
    "CDAC": (*TWO_VIEWS, "TRAINER.CDAC.STRONG_TRANSFORMS", STRONG, "TRAINER.CDAC.P_THRESH", 0.4,
             "TRAINER.CDAC.CLASS_LR_MULTI", 2),
    "Vanilla": (), "DomainMix": (), "CrossGrad": (),
    "DDAIG": ("TRAINER.DDAIG.G_ARCH", "fcn_3x32_gctx", "TRAINER.DDAIG.CLAMP", True),
    "DAELDG": (*BY_DOMAIN, "TRAINER.DAELDG.STRONG_TRANSFORMS", STRONG),
    "SupBaseline": (), "EntMin": (),
    "MeanTeacher": ("TRAINER.MEANTEACHER.EMA_ALPHA", 0.9, "TRAINER.MEANTEACHER.RAMPUP", 1),
    "MixMatch": (*TWO_VIEWS, "TRAINER.MIXMATCH.RAMPUP", 10),
    "FixMatch": ("TRAINER.FIXMATCH.STRONG_TRANSFORMS", STRONG, "TRAINER.FIXMATCH.CONF_THRE", 0.4),
}
ADAPTS = ("AdaBN", "ADDA")  # a trained model


def configuration(trainer: str, root, output, *options):
    """Three epochs of a trainer."""
    cfg = get_cfg_default()
    cfg.merge_from_list([
        "TRAINER.NAME", trainer, "DATASET.NAME", "Contrasts", "DATASET.ROOT", str(root),
        "OUTPUT_DIR", str(output), "INPUT.SIZE", (SIDE, SIDE), "USE_CUDA", False,
        "INPUT.TRANSFORMS", ["random_flip", "normalize"], "INPUT.CUTOUT_LEN", 4,
        "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.BATCH_SIZE", 12,
        "MODEL.BACKBONE.NAME", "Tiny", "OPTIM.NAME", "adam", "OPTIM.LR", 0.01,
        "OPTIM.MAX_EPOCH", 3, "OPTIM.LR_SCHEDULER", "cosine", "TRAIN.CHECKPOINT_FREQ", 1,
        "TRAIN.PRINT_FREQ", 100, "VERBOSE", False, *TRAINERS[trainer], *options,
    ])  # fmt: skip
    cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS = ("0", "1"), ("2",)
    return cfg
