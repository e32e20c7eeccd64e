"""Every kind of tower gives the features that open_clip itself computes."""

from functools import cache

import open_clip
import pytest
import torch
import torch.nn.functional as F
from small_towers import KINDS, LEARNT_BIAS

from ueo.clip.backbones import load_clip
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.towers.open_clip_names import parse
from ueo.errors import ConfigError

NAMES = ["mug", "acoustic_guitar", "The_Eiffel_Tower_at_night", "sun"]
TEXTS = [f"a photo of a {name.replace('_', ' ')}." for name in NAMES]
# kind -> (context length, pooling, causal, tokens before a text, the beginning can be shared)
TEXT_TOWERS = {
    **dict.fromkeys(KINDS, (77, "argmax", True, 1, True)),
    "siglip": (24, "last", False, 0, False),
    "pe": (32, "argmax", True, 1, True),
    "mobileclip": (77, "argmax", False, 1, False),
}
pytestmark = pytest.mark.usefixtures("pretended_transformers")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@cache
def read(name):
    return load_clip(name, "fp32")


@cache
def made(name):
    return open_clip.create_model(name).eval(), open_clip.get_tokenizer(name)


@pytest.fixture
def backbone(kind, small_backbones):
    """Read once for all tests, none of which changes it."""
    return read(small_backbones(kind))


@pytest.fixture
def theirs(kind, small_backbones):
    """(model, tokeniser) as open_clip makes them."""
    return made(parse(small_backbones(kind)).model)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("fast", [True, False])
@torch.no_grad()
def test_features_equal_open_clips(backbone, theirs, fast):
    model, tokeniser = theirs
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, *backbone.preprocessing.size, generator=generator)
    ours = PromptedCLIP(backbone, PromptLearner(NAMES, backbone, whole=not fast), fast=fast)
    images_expected = F.normalize(model.encode_image(images), dim=-1)
    close(ours.image_features(images), images_expected)
    expected = F.normalize(model.encode_text(tokeniser(TEXTS)), dim=-1)
    assert (expected @ expected.T).fill_diagonal_(0).max() < 0.9999, "prompts must differ"
    close(ours.class_features(), expected)
    close(ours.text_features(TEXTS), expected)
    close(ours(images), images_expected @ expected.T)


def test_properties_of_each_text_tower(kind, backbone):
    length, pooling, causal, start, shared = TEXT_TOWERS[kind]
    assert backbone.tokenise.context_length == length
    assert (backbone.text.pooling, backbone.text.causal) == (pooling, causal)
    assert backbone.tokenise.num_start == start
    assert backbone.text.shares_beginning == shared
    assert backbone.logit_bias == (LEARNT_BIAS if kind == "siglip" else None)
    assert backbone.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


@pytest.mark.parametrize("options", [
    {}, {"class_specific": True}, {"position": "middle"}, {"position": "front"},
    {"context": "", "n_ctx": 5}, {"context": "a photo of a {}, a kind of thing."},
])
def test_fast_and_plain_towers_give_the_same_features_and_gradients(backbone, options):
    def features_and_gradient(fast):
        generator = torch.Generator().manual_seed(3)
        prompt = PromptLearner(NAMES, backbone, whole=not fast, generator=generator, **options)
        model = PromptedCLIP(backbone, prompt, fast=fast)
        with torch.no_grad():
            noise = torch.Generator().manual_seed(4)
            prompt.ctx += 0.1 * torch.randn(prompt.ctx.shape, generator=noise)
        features = model.class_features()
        weight = torch.linspace(-1, 1, features.numel()).view_as(features)
        return features, torch.autograd.grad((features * weight).sum(), prompt.ctx)[0]

    (fast, fast_gradient), (plain, gradient) = map(features_and_gradient, (True, False))
    close(fast, plain)
    assert (fast_gradient - gradient).norm() <= 1e-3 * gradient.norm() and gradient.any()


@pytest.mark.parametrize(("position", "text"), [
    ("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a."),
])
@torch.no_grad()
def test_the_class_name_is_at_the_requested_position(kind, backbone, theirs, position, text):
    """A SigLIP's text has no period and no start of text."""
    model, tokeniser = theirs
    prompt = PromptLearner(NAMES, backbone, position=position)
    found = PromptedCLIP(backbone, prompt).class_features()
    ids = tokeniser([text.format(name.replace("_", " ")) for name in NAMES])
    close(found, F.normalize(model.encode_text(ids), dim=-1))


def test_padding_matters_without_a_causal_mask(kind, backbone):
    tokens = backbone.tokenise(TEXTS)
    embedded = backbone.token_embedding(tokens.ids)
    with torch.no_grad():
        whole = F.normalize(backbone.text(embedded, tokens.pooled), dim=-1)
        short = min(int(tokens.lengths.max()) + 2, embedded.shape[1])
        cut = F.normalize(backbone.text(embedded[:, :short], tokens.pooled.clamp(max=short - 1)),
                          dim=-1)
    differs = (whole - cut).abs().max() > 1e-3
    assert differs == (not backbone.text.ends_at_pooled) == (kind in ("siglip", "mobileclip"))


def test_a_prompt_longer_than_the_tower_takes_is_refused(backbone):
    length = backbone.tokenise.context_length
    with pytest.raises(ConfigError, match=f"too long for the {length} tokens"):
        PromptLearner(["word " * length], backbone)
    most = length - backbone.tokenise.num_start - 1 - backbone.tokenise.num_period
    assert backbone.tokenise.count("word " * most) == most
