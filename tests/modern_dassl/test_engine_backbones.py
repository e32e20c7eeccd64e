"""The built-in backbones and networks: sizes, names of weights, pre-trained ones, mixing."""

import subprocess
import sys

import pytest
import torch
import torchvision
from dassl.modeling import BACKBONE_REGISTRY, build_backbone, build_network
from dassl.modeling.ops import EFDMix, MixStyle, crossdomain_mixstyle, run_without_mixstyle
from dassl.utils import ConfigValueError, Registry


@pytest.mark.parametrize("name, side, features, first, last", [
    ("resnet18", 32, 512, "conv1.weight", "layer4.1.bn2.num_batches_tracked"),
    ("alexnet", 64, 4096, "features.0.weight", "classifier.4.bias"),
    ("mobilenet_v2", 32, 1280, "features.0.0.weight", "features.18.1.num_batches_tracked"),
    ("efficientnet_b0", 32, 1280, "features.0.0.weight", "features.8.1.num_batches_tracked"),
    ("cnn_digitsdg", 32, 256, "conv1.conv.weight", "conv4.conv.bias"),
    ("cnn_digitsingle", 32, 1024, "conv1.weight", "fc4.bias"),
    ("cnn_digit5_m3sda", 32, 2048, "conv1.weight", "bn2_fc.num_batches_tracked"),
    ("preact_resnet18", 16, 512, "conv1.weight", "layer4.1.conv2.weight"),
    ("wide_resnet_28_2", 16, 128, "conv1.weight", "bn1.num_batches_tracked"),
])
def test_backbones(name, side, features, first, last):
    net = build_backbone(name, verbose=False, pretrained=False)
    assert net.out_features == features
    assert net(torch.rand(2, 3, side, side)).shape == (2, features)
    names = list(net.state_dict())
    assert (names[0], names[-1]) == (first, last)


def test_digit_nets_say_which_size_they_take():
    with pytest.raises(ConfigValueError, match="32 x 32 pixels, not 28 x 28; set INPUT.SIZE"):
        build_backbone("cnn_digitsdg", verbose=False)(torch.rand(1, 3, 28, 28))


def test_every_depth_and_mixing_is_registered():
    known = BACKBONE_REGISTRY.registered_names()
    depths = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
    mixing = [f"resnet{depth}_{kind}_l{stages}" for depth in (18, 50, 101)
              for kind in ("ms", "efdmix") for stages in ("1", "12", "123")]
    assert {*depths, *mixing, "vgg16", "wide_resnet_16_4"} <= set(known)
    assert {f"efficientnet_b{size}" for size in range(8)} <= set(known)


@pytest.mark.parametrize("name", ["resnet18", "alexnet"])
def test_pretrained_weights_are_those_of_torchvision(name, monkeypatch):
    """Features and torchvision's classifier give torchvision's logits."""
    whole = torchvision.models.get_model(name).eval()
    kind = type(torchvision.models.get_model_weights(name).IMAGENET1K_V1)
    monkeypatch.setattr(kind, "get_state_dict", lambda self, **kwargs: whole.state_dict())
    net = build_backbone(name, verbose=False, pretrained=True).eval()
    last = whole.fc if name == "resnet18" else whole.classifier[-1]
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(last(net(images)), whole(images))


def test_weights_by_their_address(tmp_path, monkeypatch):
    from dassl.modeling.backbone.resnet import ResNet, init_pretrained_weights, model_urls
    from torchvision.models.resnet import BasicBlock

    assert model_urls["resnet18"].startswith("https://") and "resnet18" in model_urls["resnet18"]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    whole = torchvision.models.resnet18()
    torch.save(whole.state_dict(), tmp_path / "resnet18.pth")
    net = ResNet(BasicBlock, [2, 2, 2, 2])
    init_pretrained_weights(net, (tmp_path / "resnet18.pth").as_uri())
    assert torch.equal(net.layer4[1].conv2.weight, whole.layer4[1].conv2.weight)


def test_modules_that_are_other_files_here():
    from dassl.modeling import backbone
    from dassl.modeling.backbone.cnn_digitsdg import ConvNet
    from dassl.modeling.backbone.preact_resnet18 import PreActBlock, PreActResNet

    assert ConvNet(c_hidden=8)(torch.rand(2, 3, 32, 32)).shape == (2, 32)
    images = torch.rand(2, 3, 16, 16)
    assert PreActResNet(PreActBlock, [1, 1, 1, 1])(images).shape == (2, 512)
    assert backbone.preact_resnet18 is BACKBONE_REGISTRY.get("preact_resnet18")


def test_one_seed_gives_one_network_whether_cut_or_not():
    """The classifier that is cut off draws nothing: the next layer starts from the same state."""
    torch.manual_seed(3)
    net = build_backbone("resnet18", verbose=False, pretrained=False)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    whole = torchvision.models.resnet18()
    assert list(net.state_dict()) == [k for k in whole.state_dict() if not k.startswith("fc.")]
    assert not torch.equal(state, torch.get_rng_state())  # torchvision's drew for its own


@pytest.mark.parametrize("kind, layer", [("ms", MixStyle), ("efdmix", EFDMix)])
def test_mixing_after_stages(kind, layer):
    net = build_backbone(f"resnet18_{kind}_l12", verbose=False, pretrained=False)
    plain = build_backbone("resnet18", verbose=False, pretrained=False)
    plain.load_state_dict(net.state_dict())
    images = torch.rand(4, 3, 32, 32)
    assert isinstance(net.mixstyle, layer) and net.ms_layers == ["layer1", "layer2"]
    assert torch.equal(net.eval()(images), plain.eval()(images))
    net.mixstyle.p = 1.0
    assert not torch.allclose(net.train()(images), plain.train()(images))
    if kind == "ms":
        net.apply(crossdomain_mixstyle)
        assert net.mixstyle.mix == "crossdomain"
        with run_without_mixstyle(net):
            assert torch.allclose(net(images), plain(images), atol=1e-6)


def test_network_that_perturbs():
    net = build_network("fcn_3x32_gctx_stn", verbose=False)
    images = torch.rand(2, 3, 32, 32)
    perturbed, change, turned = net(images, lmda=0.3, return_stn_output=True)
    assert torch.allclose(perturbed, turned + 0.3 * change) and change.abs().max() <= 1
    plain = build_network("fcn_3x32_gctx", verbose=False)
    assert torch.equal(plain(images, lmda=0.0), images)


def test_a_project_takes_the_place_of_a_built_in_name(capsys):
    registry = Registry("BACKBONE")
    registry.register(BACKBONE_REGISTRY.get("vgg16"))

    def vgg16():
        pass

    registry.register(vgg16)
    assert registry.get("vgg16") is vgg16
    assert capsys.readouterr().out == (
        f"BACKBONE: vgg16 of {__name__} takes the place of the engine's own\n"
    )
    with pytest.raises(KeyError, match="registered already"):
        registry.register(vgg16)


def test_models_are_imported_when_they_are_built():
    code = ("import sys, modern_dassl; import dassl.modeling; "
            "print([m for m in sys.modules if m.startswith('torchvision')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr
