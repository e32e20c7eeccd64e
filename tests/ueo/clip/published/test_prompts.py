"""Published prompts, in the layout of their files, against the forward pass of their methods."""

import json
import re
import shutil
from pathlib import Path

import clip
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import discerning_clip, random_clip, read, size_of, toy_arguments

import ueo
from ueo.commands import export, train
from ueo.errors import CheckpointError

SIX = ["bike", "desk_lamp", "guitar", "mug", "sun", "teddy_bear"]
N_CTX = 5
THEIRS = "prompt_learner"


def fitting(trainer: str, *more: str) -> list[str]:
    """The options that a prompt of N_CTX vectors needs, and shots for methods with labels."""
    pairs = ("N_CTX", str(N_CTX), "CTX_INIT", "", *more)
    options = [f"TRAINER.{trainer}.{part}" if i % 2 == 0 else part for i, part in enumerate(pairs)]
    return [*options, *(["DATASET.NUM_SHOTS", "2"] if trainer in ("CoOp", "CoCoOp") else [])]


def learnt(model, names: list[str], n_ctx: int = N_CTX, csc: bool = False) -> dict:
    """State of CoOp's prompt learner, token_prefix and token_suffix included."""
    texts = [f"{' '.join(['X'] * n_ctx)} {name.replace('_', ' ')}." for name in names]
    embedded = model.token_embedding(clip.tokenize(texts)).detach()  # (K, 77, width)
    shape = (*[len(names)] * csc, n_ctx, embedded.shape[-1])
    ctx = torch.empty(shape).normal_(std=0.5, generator=torch.Generator().manual_seed(3))
    return {"ctx": ctx, "token_prefix": embedded[:, :1], "token_suffix": embedded[:, 1 + n_ctx :]}


def network(model) -> dict:
    """State of CoCoOp's network, which maps an image's feature to a shift of the context."""
    embedding, width = model.text_projection.shape[1], model.token_embedding.weight.shape[1]
    hidden = max(embedding // 16, 1)
    shapes = {"linear1.weight": (hidden, embedding), "linear1.bias": (hidden,),
              "linear2.weight": (width, hidden), "linear2.bias": (width,)}
    generator = torch.Generator().manual_seed(4)
    return {f"meta_net.{name}": torch.randn(shape, generator=generator)
            for name, shape in shapes.items()}


def save(state: dict, path, epoch: int = 50, zipped: bool = True):
    """A checkpoint as genuine Dassl writes it, with a scheduler object and a NumPy number.
    zipped: False for the format of torch < 1.6."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.002)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epoch)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "epoch": epoch, "optimizer": optimiser.state_dict(),
                "scheduler": {"successor": schedule, "last_epoch": epoch},
                "val_result": np.float64(61.5)}, path, _use_new_zipfile_serialization=zipped)
    return path


def their_features(model, state: dict, shift: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Class features as CoOp computes them from a file's own tokens, (K, embedding)."""
    prefix, suffix = state["token_prefix"], state["token_suffix"]
    ctx = (state["ctx"] + shift).expand(len(prefix), -1, -1)
    x = torch.cat([prefix, ctx, suffix], dim=1) + model.positional_embedding
    x = model.ln_final(model.transformer(x.permute(1, 0, 2)).permute(1, 0, 2))
    texts = [f"{' '.join(['X'] * ctx.shape[1])} {name.replace('_', ' ')}." for name in SIX[:4]]
    end = clip.tokenize(texts).argmax(-1)
    return F.normalize(x[torch.arange(len(end)), end] @ model.text_projection, dim=-1)


@pytest.fixture
def theirs(tmp_path):
    """A file of CoOp's, learnt with the small ViT for the toy set's four known classes."""
    path = tmp_path / "theirs" / THEIRS / "model.pth.tar-50"
    return save(learnt(discerning_clip("vit"), SIX[:4]), path)


@pytest.mark.parametrize("trainer", ["CoOp", "UPL", "UEO", "ZeroshotCLIP"])
@pytest.mark.parametrize("csc", [False, True])
def test_class_features_equal_coops_forward_pass(
    build, tmp_path, trainer, csc, capsys
):
    model = discerning_clip("vit")
    state = learnt(model, SIX[:4], csc=csc)
    path = save(state, tmp_path / THEIRS / "model.pth.tar-50", zipped=csc)
    options = fitting(trainer, "CSC", str(csc))
    built = build("MODEL.INIT_WEIGHTS", str(path), *options, trainer=trainer, kind="vit")
    assert built.dm.dataset.classnames == SIX[:4]
    with torch.no_grad():
        found, expected = built.model.class_features(), their_features(model, state)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    out = capsys.readouterr().out
    assert f"Load {path} (epoch=50); class names stand at the end" in out
    assert out.count("token_prefix and token_suffix in it belong to its own class names") == 1


def test_cocoops_network_shifts_the_context_for_each_image(build, tmp_path):
    model = discerning_clip("vit")
    state = {**learnt(model, SIX[:4]), **network(model)}
    path = save(state, tmp_path / "model.pth.tar-10")
    options = ("MODEL.INIT_WEIGHTS", str(path), *fitting("CoCoOp"))
    built = build(*options, trainer="CoCoOp", kind="vit")
    images = torch.randn(3, 3, size_of("vit"), size_of("vit"))
    with torch.no_grad():
        found = built.model(images)
        for feature, cosines in zip(F.normalize(model.encode_image(images), dim=-1), found):
            hidden = state["meta_net.linear1.weight"] @ feature + state["meta_net.linear1.bias"]
            shift = state["meta_net.linear2.weight"] @ hidden.relu()
            classes = their_features(model, state, shift + state["meta_net.linear2.bias"])
            torch.testing.assert_close(cosines, classes @ feature, atol=1e-5, rtol=0)


@pytest.fixture
def line(toy_root, weights, tmp_path, capsys):
    """line(*first, options=(...), status=0): run train.py on the toy set. Returns its stdout, or,
    if it fails, its stderr."""
    def call(*first: str, trainer: str = "UEO", options: list | tuple = (), status: int = 0) -> str:
        argv = toy_arguments(toy_root, weights, tmp_path / "out", kind="vit", trainer=trainer)
        capsys.readouterr()
        assert train.main([*first, *argv, *options]) == status
        out, err = capsys.readouterr()
        return err if status else out

    return call


def results(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("* ")]


@pytest.mark.parametrize("trainer", ["CoOp", "UPL"])
def test_a_folder_of_the_coop_family_evaluates_like_its_file(line, theirs, trainer):
    folder = theirs.parents[1]
    options = fitting(trainer)
    of_folder = line("--eval-only", "--model-dir", str(folder), "--load-epoch", "50",
                     trainer=trainer, options=options)
    single = theirs.with_name("model-best-3.pth.tar")  # UPL's name for the file of a seed
    shutil.copy(theirs, single)
    options += ["MODEL.INIT_WEIGHTS", str(single)]
    of_file = line("--eval-only", trainer=trainer, options=options)
    assert results(of_folder) == results(of_file) != []
    assert "on the *test* set, epoch 50" in of_folder and "epoch 50" in of_file


def test_a_run_starts_from_a_published_prompt_and_predicts_afterwards(
    toy, toy_root, theirs
):
    options = [*fitting("UEO"), "MODEL.INIT_WEIGHTS", str(theirs), "TRAINER.UEO.TUNE",
               "visual_affine"]
    status, folder = toy("run", *options, kind="vit")
    plain = toy("plain", *options[:4], *options[6:], kind="vit")[1]
    assert status == 0
    first, other = (read(run)["evaluations"][0]["test"] for run in (folder, plain))
    assert first["auroc"] != other["auroc"] and "MODEL.INIT_WEIGHTS" in read(folder)["inputs"]
    image = Path(toy_root, "toy", "red", "mug", "000.png")
    before = [p.score for p in ueo.load(folder).predict([image])]
    assert export.main(["--model", str(folder), "--no-onnx"]) == 0
    theirs.write_bytes(b"")
    with pytest.raises(CheckpointError, match="started from .* which has changed"):
        ueo.load(folder)
    assert [p.score for p in ueo.load(folder / "export").predict([image])] == pytest.approx(before)


def test_a_run_starts_from_a_run_of_this_toolbox(toy, capsys):
    first = toy("first", "DATASET.NUM_SHOTS", "2", trainer="CoOp", kind="vit")[1]
    file = first / "tuned" / "model.pth.tar-2"
    assert toy("second", "MODEL.INIT_WEIGHTS", str(file), kind="vit")[0] == 0
    assert f"Load {file} (epoch=2)" in capsys.readouterr().out


def of(change):
    """A state of CoOp's prompt learner for a model, changed."""
    return lambda model: change(learnt(model, SIX[:4]))


MAPLE = {"prompt_learner.ctx": torch.zeros(2, 32), "image_encoder.proj": torch.zeros(2),
         "prompt_learner.compound_prompts_text.0": torch.zeros(2, 32)}


@pytest.mark.parametrize(("make", "said"), [
    (of(lambda s: {**s, "ctx": s["ctx"][:3]}),
     "holds 3 context vectors of 64 .* 5 .*; set TRAINER.UEO.N_CTX 3 TRAINER.UEO.CTX_INIT ''"),
    (lambda m: learnt(m, SIX[:4], csc=True), "for each of 4 classes, .* set TRAINER.UEO.CSC True"),
    (lambda m: learnt(m, SIX[:4], 3, csc=True), "N_CTX 3 TRAINER.UEO.CTX_INIT '' .*UEO.CSC True"),
    (lambda m: learnt(m, SIX, csc=True), "of 6 classes, .* no other classes, and this run knows 4"),
    (of(lambda s: {"ctx": torch.zeros(5, 512)}), "5 context vectors of 512 .* RN50, RN101"),
    (of(lambda s: {"ctx": torch.zeros(5, 1024)}), "; name the backbone that it was learnt with"),
    (of(lambda s: {"ctx": torch.zeros(5)}), r"a context of shape \(5,\)"),
    (lambda m: learnt(random_clip("vit", 7), SIX[:4]), "with another backbone than .*vit.pt"),
    (lambda m: {**learnt(m, SIX), **network(m)}, "with a network .* UEO lacks; --trainer CoCoOp"),
    (of(lambda s: {**s, "w_temperature": torch.ones(1)}), "w_temperature, for which UEO has no"),
    (of(lambda s: {**s, "ctx": s["ctx"] * float("nan")}), "holds NaN or infinity"),
    (lambda m: MAPLE, "holds MaPLe's prompts for both towers; a prompt .ctx. of CoOp"),
    (lambda m: m.state_dict(), "holds OpenAI's CLIP; a prompt .ctx. of CoOp"),
    (lambda m: {"fc.weight": torch.ones(2)}, "holds fc.weight; a prompt .ctx. of CoOp"),
])
def test_a_prompt_that_does_not_fit_is_refused_with_what_would_fit(line, tmp_path, make, said):
    path = save(make(discerning_clip("vit")), tmp_path / "model.pth.tar-50")
    options = [*fitting("UEO"), "MODEL.INIT_WEIGHTS", str(path)]
    (error,) = line(options=options, status=2).splitlines()
    assert str(path) in error and re.search(said, error)


@pytest.mark.parametrize(("trainer", "options", "said"), [
    ("CoOp", ["TRAINER.CoOp.CSC", "True"], "set TRAINER.CoOp.CSC False"),
    ("CoCoOp", [], "without CoCoOp's network (meta_net.); --trainer CoOp"),
    ("UPL", ["TRAINER.UPL.ENSEMBLE", "2"], "holds one prompt; set TRAINER.UPL.ENSEMBLE 1"),
])
def test_options_that_do_not_fit_are_named(line, theirs, trainer, options, said):
    options = [*fitting(trainer), "MODEL.INIT_WEIGHTS", str(theirs), *options]
    (error,) = line(trainer=trainer, options=options, status=2).splitlines()
    assert said in error


@pytest.mark.parametrize(("names", "number"), [
    (SIX[3::-1], "1 is not 'bike'"), ([*SIX[:3], "sun"], "4 is not 'mug'"),
    (["bike", "desk", *SIX[2:4]], "2 is not 'desk_lamp'"),
    ([*SIX[:3], "mug_shot"], "4 is not 'mug'"),
])
def test_class_specific_contexts_need_the_same_class_names(line, tmp_path, names, number):
    path = save(learnt(discerning_clip("vit"), names, csc=True), tmp_path / "model.pth.tar-50")
    options = [*fitting("UEO", "CSC", "True"), "MODEL.INIT_WEIGHTS", str(path)]
    (error,) = line(options=options, status=2).splitlines()
    assert f"{path}: holds a context for each of 4 classes, of which number {number}" in error


def test_class_specific_contexts_of_a_run_need_the_same_order_of_classes(toy, line):
    csc = ["TRAINER.CoOp.CSC", "True"]
    folder = toy("first", "DATASET.NUM_SHOTS", "2", *csc, trainer="CoOp", kind="vit")[1]
    facts = json.loads((folder / "model.json").read_text())
    facts["class_names"].reverse()
    del facts["class_names_hash"]
    (folder / "model.json").write_text(json.dumps(facts))
    file = folder / "tuned" / "model.pth.tar-2"
    options = ["TRAINER.UEO.CSC", "True", "MODEL.INIT_WEIGHTS", str(file)]
    (error,) = line(options=options, status=2).splitlines()
    assert f"{file}: what UEO learns is bound to its 4 classes" in error
    assert "are another order" in error


def test_a_folder_of_maple_and_a_missing_epoch_are_named(line, theirs, tmp_path):
    path = save(MAPLE, tmp_path / "maple" / "MultiModalPromptLearner" / "model.pth.tar-5")
    look = ("--eval-only", "--model-dir")
    (error,) = line(*look, str(tmp_path / "maple"), "--load-epoch", "5", status=2).splitlines()
    assert f"{path}: holds MaPLe's prompts" in error
    (error,) = line(*look, str(theirs.parents[1]), "--load-epoch", "7", status=2).splitlines()
    assert "prompt_learner/model.pth.tar-7: no such file" in error
