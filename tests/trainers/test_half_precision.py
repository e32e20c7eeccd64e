"""Half precision on the CPU, where a run would use fp32: optimisers, skipped steps, TF32."""

import json

import pytest
import torch
from conftest import read, toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY
from dassl.optim import build_optimizer
from dassl.optim.optimizer import AVAI_OPTIMS
from pretended_gpu import pretended_gpu

from ueo.clip.optimisation import FIRST_SCALE, LossScaler, check_epsilon
from ueo.clip.precision import set_tf32
from ueo.commands import train
from ueo.errors import ConfigError, DataError
from ueo.inputs import TF32
from ueo.results.comparable import check_comparable
from ueo.runs.current_inputs import of_method
from ueo.trainers import base

HALF, LARGEST = torch.float16, torch.finfo(torch.float16).max


@pytest.fixture
def half(monkeypatch):
    """Runs keep the requested precision, also on the CPU."""
    monkeypatch.setattr(base, "resolve_precision", lambda asked, device: asked)


def optimiser(build, name: str, dtype: torch.dtype):
    optim = build().cfg.OPTIM.clone()
    optim.defrost()
    optim.NAME, optim.LR, optim.WEIGHT_DECAY = name, 1e-3, 0.0
    return build_optimizer([torch.nn.Parameter(torch.ones(4, dtype=dtype))], optim)


@pytest.mark.parametrize("name", AVAI_OPTIMS)
def test_an_optimiser_is_refused_if_and_only_if_its_steps_would_be_nan(build, name):
    for dtype in (torch.float16, torch.float32):
        built = optimiser(build, name, dtype)
        parameter, = built.param_groups[0]["params"]
        for _ in range(8):  # RAdam's first ones do without; the first entry gets no gradient
            parameter.grad = torch.tensor([0, 1e-4, 1e-3, -1e-3], dtype=dtype)
            built.step()
        if torch.isfinite(parameter).all():
            check_epsilon(built, ["prompt"], name, "UEO")
        else:
            assert dtype == HALF and name != "sgd"
            with pytest.raises(ConfigError, match=f"OPTIM.NAME {name}: its epsilon is 0 in half"):
                check_epsilon(built, ["prompt"], name, "UEO")


@pytest.mark.parametrize("name", [n for n in trainer_names()
                                  if not TRAINER_REGISTRY.get(n).training_free])
def test_adam_trains_every_method_in_half_precision_or_says_what_to_set(build, half, name):
    options = ["OPTIM.NAME", "adamw", f"TRAINER.{name}.PREC", "fp16"]
    if TRAINER_REGISTRY.get(name).uses_labels:
        options += ["DATASET.NUM_SHOTS", "2"]
    arguments = {"trainer": name, "kind": "vit", "epochs": 1}
    try:
        trainer = build(*options, **arguments)
    except ConfigError as error:
        assert f"set TRAINER.{name}.CTX_FP32 True or TRAINER.{name}.PREC amp or" in str(error) or \
            f"keeps model, and steps would be NaN; set TRAINER.{name}.PREC amp or" in str(error)
        way = "CTX_FP32 True" if "CTX_FP32" in str(error) else "PREC amp"
        trainer = build(*options, *f"TRAINER.{name}.{way}".split(), **arguments)
    tuned, moved = epoch_of(trainer)
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in tuned)
    plain = [*options[:2], f"TRAINER.{name}.PREC", "fp32", *options[4:]]
    if not moved and not epoch_of(build(*plain, **arguments))[1]:
        pytest.skip(f"{name} took no step on these images: this test says nothing of it")
    assert moved


def epoch_of(trainer) -> tuple[list, bool]:
    """(what is tuned, whether an epoch has moved any of it)."""
    tuned = [p for group in trainer.groups.values() for p in group.values()]
    trainer.before_train()
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    before = [p.detach().clone() for p in tuned]
    for batch in trainer.train_loader_x:
        trainer.forward_backward(batch)
    return tuned, any((p != old).any() for p, old in zip(tuned, before))


def test_a_loss_in_half_precision_has_a_finite_gradient_from_the_first_step_on():
    loss = torch.ones((), dtype=HALF, requires_grad=True)
    LossScaler("cpu").scale(loss).backward()
    assert loss.grad == FIRST_SCALE < LARGEST


def test_steps_with_an_infinite_gradient_are_skipped_counted_and_reported(build, capsys):
    trainer = build(epochs=2)
    trainer.scaler = LossScaler("cpu")
    context, seen, taken = trainer.model.prompt.ctx, [], []
    context.register_hook(lambda grad: seen.append(grad) or (grad / 0 if len(seen) == 2 else grad))
    trainer.optim.register_step_post_hook(lambda *_: taken.append(True))
    trainer.train()
    assert len(taken) == len(seen) - 1 and torch.isfinite(context).all()
    assert read(trainer.output_dir)["notes"]["skipped_steps"] == 1
    (line,) = [said for said in capsys.readouterr().out.splitlines() if said.startswith("amp: ")]
    assert "half precision: 1;" in line and line.endswith(f"now {FIRST_SCALE / 2:.0f}")


def test_the_count_of_skipped_steps_survives_a_checkpoint():
    first, again = LossScaler("cpu"), LossScaler("cpu")
    parameter = torch.nn.Parameter(torch.ones(1))
    optim = torch.optim.SGD([parameter], lr=1.0)
    for value in (float("inf"), 1.0):
        parameter.grad = first.scale(torch.tensor([value]))
        first.step(optim)
        first.update()
    assert first.skipped == 1 and parameter != 1
    again.load_state_dict(first.state_dict())
    assert again.skipped == 1 and again.get_scale() == FIRST_SCALE / 2


@pytest.fixture
def backends():
    """torch's settings of TF32 in matrix products and convolutions, restored after the test."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield lambda: (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize(("option", "said"), [
    ("None", "convolutions"), ("True", "everywhere"), ("False", "nowhere"),
])
def test_tf32_follows_its_option_and_is_an_input_on_cuda_only(backends, build, option, said):
    trainer = build("MODEL.TF32", option)
    cfg, kind = trainer.cfg, type(trainer)
    assert TF32 not in trainer.inputs
    assert of_method(cfg, "cuda", "builtin", None, kind, object)[TF32] == said
    set_tf32(cfg.MODEL.TF32)
    assert backends() == {"convolutions": (False, True), "everywhere": (True, True),
                          "nowhere": (False, False)}[said]


def test_a_run_on_cuda_records_its_tf32_and_its_skipped_steps(
    backends, toy_root, weights, tmp_path, monkeypatch, capsys
):
    argv = [*toy_arguments(toy_root, weights, tmp_path / "run", kind="vit", epochs=1),
            "TRAINER.UEO.PREC", "amp", "MODEL.TF32", "False", "DATALOADER.NUM_WORKERS", "0"]
    argv[argv.index("cpu")] = "cuda"
    with pretended_gpu():
        assert train.main(argv) == 0
    assert "TF32: nowhere; MODEL.TF32 True or False sets it" in capsys.readouterr().out
    result = read(tmp_path / "run")
    assert result["inputs"][TF32] == "nowhere" and result["precision"] == "amp"
    assert result["notes"]["skipped_steps"] == 0


def test_runs_in_a_table_need_the_same_setting_of_tf32(toy, tmp_path):
    _, folder = toy()
    results = [read(folder), json.loads(json.dumps(read(folder)))]
    results[1]["inputs"][TF32] = "everywhere"
    with pytest.raises(DataError, match="tf32 is None and 'everywhere'"):
        check_comparable([(tmp_path / str(i), result) for i, result in enumerate(results)])
