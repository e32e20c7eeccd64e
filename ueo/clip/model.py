"""One prompted CLIP for every method: images and class prompts in, unscaled cosines out."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ueo.clip.adapters import Cosines
from ueo.clip.fast_image import encode_images, folded
from ueo.clip.fast_text import encode_shared
from ueo.clip.local_features import local_features
from ueo.clip.prompts import CONTEXT_STD, PromptEnsemble, PromptLearner
from ueo.clip.towers.as_loaded import AsLoaded
from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.layouts import VIT, described, layout
from ueo.errors import ConfigError

# smaller batches run other kernels for matrix products, whose rounding differs in the last digit
LEAST_ROWS = 16


class PromptedCLIP(nn.Module):
    """Image encoder, prompt learner and text encoder. Always in eval mode, training included:
    BatchNorm uses CLIP's running statistics and never updates them.

    adapter: (image features, class features) -> cosines; see adapters.py.
    fast: skip unused computation (fast_text.py, fast_image.py) in towers that were not changed.
    """

    def __init__(
        self, backbone: Backbone, prompt: PromptLearner | PromptEnsemble, fast: bool = True
    ):
        super().__init__()
        self.fast, self.backbone = fast, backbone
        self.visual = backbone.visual
        if fast and layout(self.visual):
            self.visual.to(memory_format=torch.channels_last)
        # the encoder for evaluation (`evaluating`), in a tuple so that it is not registered
        self._folded: tuple[nn.Module, ...] = ()
        self.keeps_folded = False  # keep it between evaluations; for a model that predicts often
        self._kept_fold: tuple[list, tuple[nn.Module, ...], dict] | None = None
        self._evaluations: list[None] = []  # one for each under way; append and pop are atomic
        self._norms = tuple(m for m in self.visual.modules() if isinstance(m, _BatchNorm))
        self.prompt = prompt
        self.text_encoder = backbone.text
        self.visual_as_loaded = AsLoaded(self.visual)
        self.text_as_loaded = AsLoaded(self.text_encoder)
        self.token_embedding = backbone.token_embedding
        self.dtype = backbone.dtype
        self.embedding = backbone.embedding  # length of a feature
        self.logit_scale = backbone.logit_scale
        self.logit_bias = backbone.logit_bias
        self.visual_prompt: nn.Parameter | None = None
        self._kept_classes: Tensor | None = None
        self.adapter: nn.Module = Cosines()
        self.eval()

    def add_visual_prompt(self, tokens: int, generator: torch.Generator) -> None:
        """Add learnable tokens to the patches at the input of a ViT (visual prompt tuning, Jia et
        al., ECCV 2022, shallow variant). Raises ConfigError for another tower."""
        if layout(self.visual) != VIT:
            raise ConfigError(
                "TUNE: 'visual_prompt' needs a ViT of OpenAI's or one of open_clip's own; this "
                f"backbone's image tower is a {described(self.visual)}"
            )
        norm = self.visual.ln_pre
        start = torch.randn(tokens, norm.weight.shape[0], generator=generator) * CONTEXT_STD
        self.visual_prompt = nn.Parameter(start.to(norm.weight))
        norm.register_forward_hook(self._with_visual_prompt)
        self.visual_as_loaded = AsLoaded(self.visual)

    def _with_visual_prompt(self, module: nn.Module, args: tuple, tokens: Tensor) -> Tensor:
        if self.visual_prompt is None:
            return tokens
        prompt = self.visual_prompt.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        return torch.cat([tokens, prompt], dim=1)  # (batch, patches + prompt, width)

    def image_features(self, images: Tensor) -> Tensor:
        """Return unit features (batch, embedding) of images (batch, 3, height, width)."""
        return F.normalize(self.encode_images(images), dim=-1)

    def encode_images(self, images: Tensor) -> Tensor:
        """Return the output of the image encoder, (batch, embedding), not normalised."""
        visual = (*self._folded, self.visual)[0] if self._evaluations else self.visual
        images = images.to(self.dtype)
        if layout(visual) is None:
            # on a CPU, torch 2.15 writes out of bounds in the weight gradient of a strided 1 x 1
            # convolution on channels-last images, such as FastViT's first
            images = images.contiguous()
        return encode_images(visual, images) if self.skips else visual(images)

    @property
    def skips(self) -> bool:
        """Whether unused computation is skipped in the image tower."""
        return self.fast and not self.visual_as_loaded.changed()

    def local_features(self, images: Tensor) -> Tensor:
        """Return unit local features (batch, places, embedding) of images, see local_features.py.
        Raises ConfigError for a tower that is not OpenAI's architecture, or was changed."""
        if changed := self.visual_as_loaded.changed():
            raise ConfigError(f"local features need the image tower as it was loaded, and it is "
                              f"changed in {changed}")
        return local_features(self.visual, images)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Disable gradients and use a faster image encoder; parameters must not change meanwhile.
        With `keeps_folded`, several threads may be inside at once."""
        with torch.no_grad():
            self._folded = self._fold() if self.skips else ()
            self._evaluations.append(None)
            try:
                yield
            finally:
                self._evaluations.pop()
                if not self.keeps_folded:
                    self._folded = ()

    def _fold(self) -> tuple[nn.Module, ...]:
        """Return the faster image encoder. A kept one is rebuilt if a tensor of the image encoder
        was changed or replaced since."""
        if not self.keeps_folded:
            return (folded(self.visual),)
        state = [*map(_state, self.visual.modules())]
        if self._kept_fold is None or self._kept_fold[0] != state:
            # the state dict holds its tensors, so that no new tensor gets the same address
            self._kept_fold = state, (folded(self.visual),), self.visual.state_dict()
        return self._kept_fold[1]

    def padded(self, function: Callable[..., Tensor], *parts: Tensor) -> Tensor:
        """Return `function` of parts (batch, ...), one result a row, with batches padded to
        LEAST_ROWS: on a CPU an image gets the same result, bit for bit, alone or among many. If
        BatchNorm uses batch statistics, that is impossible, and nothing is padded."""
        rows = len(parts[0])
        if not 0 < rows < LEAST_ROWS or not self.independent:
            return function(*parts)
        repeated = (part[:1].expand(LEAST_ROWS - rows, *part.shape[1:]) for part in parts)
        return function(*map(torch.cat, zip(parts, repeated)))[:rows]

    @property
    def independent(self) -> bool:
        """Whether an image's features do not depend on the other images of its batch."""
        return all(norm.running_mean is not None for norm in self._norms)

    def member_features(self) -> list[Tensor]:
        """Return unit class features (K, embedding) for each prompt of the ensemble."""
        return [F.normalize(self.encode(p)[0], dim=-1) for p in self.prompt.members()]

    def encode(self, prompt: PromptLearner, shifts: Tensor | None = None) -> Tensor:
        """Return text features (contexts, K, embedding), not normalised, of the prompt's context,
        or of one context for each of `shifts` (contexts, width), added to every context vector."""
        if self.fast and prompt.begins_alike and not self.text_as_loaded.changed():
            return encode_shared(self.text_encoder, prompt.beginning(shifts), prompt.own)
        shifts = [0.0] if shifts is None else shifts
        return torch.stack([self.text_encoder(prompt(shift), prompt.end) for shift in shifts])

    def text_features(self, texts: list[str]) -> Tensor:
        """Return unit features (texts, embedding) of free text, with gradient.

        Text beyond the tower's context length is cut off. Padding that has no effect is skipped.
        """
        tokens = self.backbone.tokenise(texts, truncate=True)
        ids, device = tokens.ids, self.token_embedding.weight.device
        if self.text_encoder.ends_at_pooled and not self.text_as_loaded.changed():
            ids = ids[:, : int(tokens.pooled.max()) + 1]
        embedded = self.token_embedding(ids.to(device)).to(self.dtype)
        return F.normalize(self.text_encoder(embedded, tokens.pooled.to(device)), dim=-1)

    def keep_classes(self) -> None:
        """Compute the class features once and for all, unless what they depend on is tuned."""
        texts = (self.prompt, self.text_encoder, self.token_embedding)
        if not any(p.requires_grad for module in texts for p in module.parameters()):
            with torch.no_grad():
                self._kept_classes = self.class_features()

    def class_features(self) -> Tensor | None:
        """Return class features (K, embedding): unit vectors; for an ensemble their mean, whose
        cosines are the mean of its members' cosines."""
        if self._kept_classes is not None:
            return self._kept_classes
        features = self.member_features()
        return torch.stack(features).mean(0) if len(features) > 1 else features[0]

    def forward(self, images: Tensor) -> Tensor:
        """Return unscaled cosines (batch, K) of images with all classes."""
        return self.cosines(self.image_features(images), self.class_features())

    def cosines(self, features: Tensor, class_features: Tensor) -> Tensor:
        """Return unscaled cosines (batch, K) of image and class features."""
        return self.adapter(features, class_features)

    def encoder_hash(self) -> str:
        """Return a hash of all that an image's features depend on besides its pixels."""
        digest = hashlib.sha256(f"{self.fast} {self.dtype}".encode())
        for name, tensor in dict(self.visual.state_dict(), prompt=self.visual_prompt).items():
            if tensor is not None:
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _state(module: nn.Module) -> tuple:
    """Return what differs after a tensor of the module was replaced or written to (except through
    `.data`), or `training` was switched."""
    own = (*module._parameters.values(), *module._buffers.values())
    # tensors made in inference mode have no version
    return module.training, *((t.data_ptr(), t.is_inference() or t._version)
                              for t in own if t is not None)
