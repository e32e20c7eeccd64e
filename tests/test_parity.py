"""scripts/parity.sh against a small stand-in for the released code, once right and once wrong."""

import json

import pytest

from ueo import studies
from ueo.commands import parity

STAND_IN = '''
import clip, torch
from torchvision import transforms as T
from data_list import ImageList  # the released code imports it and does not bring it

def image_clip_train(size):
    return T.Compose([T.RandomResizedCrop(size, scale=(0.5, 1)), T.ToTensor()])

def loss_entropy_wei(prob, weight):
    h = -(prob * torch.log(prob + 1e-5)).sum(1)
    return (h * weight).sum() / weight.sum()

def train_clip(args, loaders):
    model, _ = clip.load(args.net)
    names = [args.allclassnames[i].replace("_", " ") for i in args.src_classes]
    text = model.encode_text(clip.tokenize([f"a photo of a {n}." for n in names]).cuda()).detach()
    text = text / text.norm(dim=-1, keepdim=True)
    tuned = [p for n, p in model.visual.named_parameters() if "bn" in n or "ln" in n]
    for p in tuned:
        p.requires_grad = True

    def cosines(images):
        features = model.encode_image(images)
        return features / features.norm(dim=-1, keepdim=True) @ text.T

    with torch.no_grad():
        w = torch.cat([cosines(x).softmax(1).max(1).values for x, _, _ in loaders["tar_test"]])
    optimizer = torch.optim.SGD(tuned, lr=args.vlr)
    for epoch in range(args.epochs):
        for images, _, index in loaders["target"]:
            p = (SCALE * cosines(images)).softmax(1)
            weight = w[index]
            mean = (p / weight[:, None]).sum(0) / (1 / weight).sum()
            loss = loss_entropy_wei(p, weight) + (mean * torch.log(mean + 1e-5)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
'''


@pytest.mark.parametrize(("scale", "status"), [("100.", 0), ("90.", 1)])
def test_the_first_step_agrees_and_a_difference_is_found(
    tmp_path, weights, few_emoji, scale, status
):
    (tmp_path / "demo.py").write_text(STAND_IN.replace("SCALE", scale))
    argv = ["--released", str(tmp_path), "--backbone", weights["vit"], "--steps", "1", "--epochs",
            "0", "--setting", "open", "--root", few_emoji, "--device", "cpu", "--output",
            str(tmp_path / "parity.json")]
    assert parity.main(argv) == status
    (row,) = json.loads((tmp_path / "parity.json").read_text())["steps"]
    assert row["weights"] < 1e-5 and row["good"] == (status == 0)


def test_half_precision_is_compared_with_fp64_too(tmp_path, weights, few_emoji):
    (tmp_path / "demo.py").write_text(STAND_IN.replace("SCALE", "100."))
    argv = ["--released", str(tmp_path), "--backbone", weights["vit"], "--steps", "1", "--epochs",
            "0", "--setting", "open", "--root", few_emoji, "--device", "cpu", "--precision",
            "fp16", "--output", str(tmp_path / "parity.json")]
    assert parity.main(argv) == 0
    (row,) = json.loads((tmp_path / "parity.json").read_text())["steps"]
    for way in ("fast", "plain"):  # really in half precision, and accurate
        assert 1e-6 < row[f"{way} weights"] < 1e-3 and 1e-6 < row[f"{way} losses"] < 1e-2
    assert row["fp64 weights"] < 1e-6 and row["fp64 losses"] < 1e-5


@pytest.mark.parametrize(("change", "good"), [
    ({}, True), ({"fast losses": 0.007}, False), ({"losses": 0.02}, True),
    ({"released losses": 1e-5}, True), ({"released losses": 1e-5, "fast losses": 0.005}, False),
    ({"plain weights": 3e-4}, False), ({"fp64 losses": 1e-3}, False),
])
def test_half_precision_must_be_as_near_to_fp64_as_the_released_code(change, good):
    row = {"weights": 1e-4, "losses": 3e-3, "released weights": 1e-4, "released losses": 3e-3,
           "fast weights": 1e-4, "fast losses": 3e-3, "plain weights": 1e-4, "plain losses": 3e-3,
           "fp64 weights": 0.0, "fp64 losses": 0.0, "spacing weights": 3e-5, "spacing losses": 2e-3}
    assert parity.agrees({**row, **change}, "fp16") == good


def test_a_folder_without_the_released_code(tmp_path, capsys):
    assert parity.main(["--released", str(tmp_path)]) == 2
    assert "holds no demo.py" in capsys.readouterr().err


def test_the_epochs_are_compared_in_the_label_spaces_that_were_asked_for(
    tmp_path, weights, monkeypatch
):
    (tmp_path / "demo.py").write_text(STAND_IN.replace("SCALE", "100."))
    asked = []
    monkeypatch.setattr(studies.parity, "compare_epochs", lambda module, args, setting:
                        asked.append(setting) or [])
    argv = ["--released", str(tmp_path), "--backbone", weights["vit"], "--steps", "0", "--root",
            str(tmp_path), "--device", "cpu", "--output", str(tmp_path / "parity.json")]
    assert parity.main([*argv, "--setting", "closed", "partial"]) == 0
    assert parity.main(argv) == 0
    assert asked == ["closed", "partial", "open"]
    assert json.loads((tmp_path / "parity.json").read_text())["backbone"] == "vit.pt"


def test_comparing_nothing_is_refused(tmp_path, capsys):
    argv = ["--released", str(tmp_path), "--steps", "0", "--epochs", "0"]
    assert parity.main(argv) == 2 and "nothing would be compared" in capsys.readouterr().err
