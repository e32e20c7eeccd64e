"""The prompted model against OpenAI's own forward pass, prompt by prompt."""

import warnings

import clip
import pytest
import torch
import torch.nn.functional as F
from conftest import discerning_clip, random_clip, size_of
from safetensors.torch import save_file

from ueo.clip.backbones import load_clip
from ueo.clip.model import PromptedCLIP
from ueo.clip.precision import resolve_precision
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.openai import wrap
from ueo.clip.tuning import as_module, select
from ueo.errors import ConfigError

NAMES = ["mug", "acoustic_guitar", "The_Eiffel_Tower", "t-shirt"]


@pytest.fixture(params=["rn", "vit"])
def kind(request):
    return request.param


def test_class_features_equal_openais_in_the_order_of_the_names(kind):
    model = random_clip(kind)
    features = PromptedCLIP(wrap(model), PromptLearner(NAMES, wrap(model))).class_features()
    texts = [f"a photo of a {name.replace('_', ' ')}." for name in NAMES]
    expected = F.normalize(model.encode_text(clip.tokenize(texts)), dim=-1)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)
    assert (features @ features.T).fill_diagonal_(0).max() < 0.999, "prompts must differ"


def test_scaled_logits_equal_openais(kind):
    model = random_clip(kind)
    images = torch.randn(3, 3, size_of(kind), size_of(kind))
    ours = PromptedCLIP(wrap(model), PromptLearner(NAMES, wrap(model)))
    texts = clip.tokenize([f"a photo of a {name.replace('_', ' ')}." for name in NAMES])
    with torch.no_grad():
        expected = model(images, texts)[0]
        torch.testing.assert_close(ours.logit_scale * ours(images), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_channels_last_weights_change_no_digit(dtype):
    model, images = random_clip("rn").to(dtype), torch.randn(3, 3, 64, 64, dtype=dtype)
    ours = PromptedCLIP(wrap(model), PromptLearner(NAMES, wrap(model)))
    with ours.evaluating():
        towers = [ours.visual, *ours._folded]
    kernels = [m.weight for tower in towers for m in tower.modules()
               if isinstance(m, torch.nn.Conv2d)]
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
    features = ours.image_features(images)
    ours.visual.to(memory_format=torch.contiguous_format)
    assert torch.equal(ours.image_features(images), features)


@pytest.mark.parametrize("position, text", [
    ("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a."),
])
def test_the_class_name_can_be_at_three_positions(position, text):
    model = random_clip("vit")
    prompt = PromptLearner(["mug", "sun"], wrap(model), position=position)
    tokens = clip.tokenize([text.format(n) for n in ("mug", "sun")])[:, : prompt().shape[1]]
    torch.testing.assert_close(prompt(), model.token_embedding(tokens))


def test_an_odd_context_is_divided_as_by_coop():
    model = random_clip("vit")
    prompt = PromptLearner(["mug", "desk_lamp"], wrap(model), context="photo of a",
                           position="middle")
    tokens = clip.tokenize(["photo mug of a.", "photo desk lamp of a."])[:, : prompt().shape[1]]
    torch.testing.assert_close(prompt(), model.token_embedding(tokens))


def test_a_random_context_follows_its_generator_and_may_be_class_specific():
    backbone = wrap(random_clip("vit"))

    def make(seed, **options):
        generator = torch.Generator().manual_seed(seed)
        return PromptLearner(NAMES, backbone, context="", n_ctx=7, generator=generator,
                             **options).ctx

    assert make(1).shape == (7, 64) and make(1, class_specific=True).shape == (4, 7, 64)
    assert torch.equal(make(1), make(1)) and not torch.equal(make(1), make(2))


def test_a_random_context_has_coops_standard_deviation():
    generator = torch.Generator().manual_seed(0)
    prompt = PromptLearner(NAMES, wrap(random_clip("vit")), context="", n_ctx=15,
                           class_specific=True, generator=generator)
    assert prompt.ctx.std().item() == pytest.approx(0.02, rel=0.05)
    assert prompt.ctx.mean().item() == pytest.approx(0, abs=0.001)


def test_a_prompt_beyond_77_tokens_is_refused():
    with pytest.raises(ConfigError, match="77 tokens"):
        PromptLearner(["word " * 80], wrap(random_clip("vit")))


def test_class_specific_contexts_start_equal_to_the_shared_one():
    model = random_clip("vit")
    shared, own = (PromptLearner(NAMES, wrap(model), class_specific=c)() for c in (False, True))
    torch.testing.assert_close(shared, own)


def test_the_scale_is_the_models_own():
    model = random_clip("vit")
    model.logit_scale.data.fill_(torch.tensor(100.0).log())
    assert wrap(model).logit_scale == pytest.approx(100, abs=1e-4)


def test_weights_from_a_file_are_exact_and_frozen(weights, kind):
    model, loaded = discerning_clip(kind), load_clip(weights[kind], "fp32").model
    for (name, a), (_, b) in zip(model.state_dict().items(), loaded.state_dict().items()):
        torch.testing.assert_close(a, b, atol=0, rtol=0, msg=name)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def test_half_precision_keeps_normalisation_in_fp32(weights, kind):
    backbone = load_clip(weights[kind], "fp16")
    model = backbone.model
    assert model.visual.conv1.weight.dtype == backbone.dtype == torch.float16
    assert all(p.dtype == torch.float32 for n, p in model.named_parameters() if ".ln_" in n)
    prompt = PromptLearner(["mug"], backbone)
    assert prompt.ctx.dtype == torch.float16  # as released
    whole = PromptLearner(["mug"], backbone, full_precision=True)
    assert whole.ctx.dtype == torch.float32 and whole().dtype == torch.float16


def test_a_jit_archive_loads_like_openais(tmp_path):
    model = random_clip("vit")
    images, texts = torch.randn(1, 3, 32, 32), clip.tokenize(["a mug"])
    path = tmp_path / "archive.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, (images, texts), check_trace=False).save(path)
    loaded = load_clip(str(path), "fp32").model
    torch.testing.assert_close(loaded(images, texts)[0], model(images, texts)[0])


def test_a_compact_vocabulary_is_expanded(tmp_path):
    model = random_clip("vit")
    state = model.state_dict()
    ids = torch.tensor(sorted(set(clip.tokenize("a photo of a mug.").unique().tolist())))
    rows = state["token_embedding.weight"][ids].clone()
    compact = {**state, "token_embedding.weight": rows, "token_embedding.ids": ids.int()}
    save_file(compact, tmp_path / "compact.safetensors")
    loaded = load_clip(str(tmp_path / "compact.safetensors"), "fp32").model
    texts = clip.tokenize(["a photo of a mug."])
    torch.testing.assert_close(loaded.encode_text(texts), model.encode_text(texts))


def test_half_precision_on_a_cpu_is_replaced_with_a_message(capsys):
    assert resolve_precision("fp16", torch.device("cpu")) == "fp32"
    assert "fp32 is used on the CPU" in capsys.readouterr().out
    assert resolve_precision("fp16", torch.device("cuda")) == "fp16"


def test_a_checkpoint_module_shares_the_parameters_under_their_names():
    model = random_clip("rn")
    groups = select(PromptedCLIP(wrap(model), PromptLearner(NAMES, wrap(model))), "both")
    flat = {n: p for g in groups.values() for n, p in g.items()}
    module = as_module(flat)
    assert set(module.state_dict()) == set(flat) and "prompt.ctx" in flat
    with torch.no_grad():
        module.get_parameter("prompt.ctx").zero_()
    assert (flat["prompt.ctx"] == 0).all()
