"""Each name that Dassl registers exists, or the same sentence everywhere says where to find it."""

import importlib

import dassl.engine  # noqa: F401  (registers the trainers)
import pytest
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, build_dataset
from dassl.engine import TRAINER_REGISTRY
from dassl.evaluation import EVALUATOR_REGISTRY
from dassl.modeling import (
    BACKBONE_REGISTRY,
    HEAD_REGISTRY,
    NETWORK_REGISTRY,
    build_backbone,
)

from modern_dassl import left_out

RESNETS = " ".join(
    f"resnet{depth}{kind}"
    for depth in (18, 50, 101)
    for kind in (
        "", "_dynamic", *(f"{way}_{layers}" for way in ("_dynamic_ms", "_efdmix", "_ms")
                          for layers in ("l1", "l12", "l123")))
)  # fmt: skip
REGISTERED = [  # what Dassl 0.6.3 registers
    (TRAINER_REGISTRY, "ADDA AdaBN CDAC CrossGrad DAEL DAELDG DANN DDAIG DomainMix EntMin FixMatch "
     "M3SDA MCD MME MeanTeacher MixMatch SE SourceOnly SupBaseline Vanilla"),
    (DATASET_REGISTRY, "CIFAR10 CIFAR100 CIFAR100C CIFAR10C CIFARSTL Camelyon17 Digit5 DigitSingle "
     "DigitsDG DomainNet FMoW IWildCam Office31 OfficeHome OfficeHomeDG PACS STL10 SVHN VLCS "
     "VisDA17 miniDomainNet"),
    (BACKBONE_REGISTRY, "alexnet cnn_digit5_m3sda cnn_digitsdg cnn_digitsingle efficientnet_b0 "
     "efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 "
     "efficientnet_b6 efficientnet_b7 preact_resnet18 resnet152 resnet34 vgg16 wide_resnet_16_4 "
     f"wide_resnet_28_2 {RESNETS}"),
    (HEAD_REGISTRY, "mlp"),
    (NETWORK_REGISTRY, "fcn_3x32_gctx fcn_3x32_gctx_stn fcn_3x64_gctx fcn_3x64_gctx_stn"),
    (EVALUATOR_REGISTRY, "Classification"),
]  # fmt: skip
WILDCAM = left_out.sentence("IWildCam")


def test_it_is_registered_or_left_out():
    lost = {name for registry, names in REGISTERED for name in names.split()
            if name not in registry}  # fmt: skip
    assert lost == set(left_out.NAMES) - {"WILDSBase"}


def test_the_sentence_is_the_same_everywhere():
    assert "dassl.data.datasets.dg.wilds.iwildcam: install https://github.com/" in WILDCAM
    cfg = get_cfg_default()
    cfg.DATASET.NAME = "IWildCam"
    for module in ("dassl.data.datasets", "dassl.data.datasets.dg"):
        with pytest.raises(ImportError) as refused:
            importlib.import_module(module).IWildCam  # noqa: B018
        assert str(refused.value) == WILDCAM
    for ask in (lambda: build_dataset(cfg), lambda: DATASET_REGISTRY.get("IWildCam")):
        with pytest.raises((KeyError, ValueError)) as refused:
            ask()
        assert WILDCAM in str(refused.value)
    with pytest.raises(ValueError) as refused:
        build_backbone("resnet18_dynamic")
    assert left_out.sentence("resnet18_dynamic") in str(refused.value)


@pytest.mark.parametrize("module", [
    "dassl.data.datasets.dg.wilds.iwildcam", "dassl.modeling.backbone.resnet_dynamic",
    "dassl.modeling.backbone.efficientnet.model",
])  # fmt: skip
def test_a_module(module):
    with pytest.raises(ModuleNotFoundError, match="not part of this engine; Dassl has it"):
        importlib.import_module(module)


def test_a_name_inside_a_module():
    with pytest.raises(ImportError, match="alexnet.AlexNet is not part of this engine; Dassl has "):
        from dassl.modeling.backbone.alexnet import AlexNet  # noqa: F401


def test_any_other_name_is_pythons_affair():
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module("dassl.modeling.absent")
    with pytest.raises(AttributeError, match="has no attribute 'Absent'"):
        importlib.import_module("dassl.data.datasets").Absent  # noqa: B018
