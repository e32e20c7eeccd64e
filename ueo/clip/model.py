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

# in smaller batches, matrix products take other kernels, whose rounding differs in the last digit
LEAST_ROWS = 16


class PromptedCLIP(nn.Module):
    """Image encoder, prompt learner and text encoder. Always in eval mode, training included:
    BatchNorm uses CLIP's running statistics and never moves them.

    adapter: (image features, class features) -> cosines; see adapters.py.
    fast: skip unused computation (fast_text.py, fast_image.py), in a tower that is as loaded.
    """

    def __init__(
        self, backbone: Backbone, prompt: PromptLearner | PromptEnsemble, fast: bool = True
    ):
        super().__init__()
        self.fast, self.backbone = fast, backbone
        self.visual = backbone.visual
        if fast and layout(self.visual):
            self.visual.to(memory_format=torch.channels_last)
        # in a tuple, because a registered module's parameters are saved and tuned
        self._folded: tuple[nn.Module, ...] = ()
        self.keeps_folded = False  # between evaluations: for a model that is evaluated often
        self._kept_fold: tuple[list, tuple[nn.Module, ...], dict] | None = None
        self._evaluations: list[None] = []  # under way; a list, whose changes threads cannot lose
        self._norms = tuple(m for m in self.visual.modules() if isinstance(m, _BatchNorm))
        self.prompt = prompt
        self.text_encoder = backbone.text
        self.visual_as_loaded = AsLoaded(self.visual)
        self.text_as_loaded = AsLoaded(self.text_encoder)
        self.token_embedding = backbone.token_embedding
        self.dtype = backbone.dtype
        self.embedding = backbone.embedding  # length of an image's and of a class's feature
        self.logit_scale = backbone.logit_scale
        self.logit_bias = backbone.logit_bias
        self.visual_prompt: nn.Parameter | None = None
        self._kept_classes: Tensor | None = None
        self.adapter: nn.Module = Cosines()
        self.eval()

    def add_visual_prompt(self, tokens: int, generator: torch.Generator) -> None:
        """Learnable tokens beside the patches at the entrance of a ViT (Jia et al., ECCV 2022,
        shallow variant). Raises ConfigError for another tower."""
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
        """Unit vectors (batch, embedding) of images (batch, 3, height, width)."""
        return F.normalize(self.encode_images(images), dim=-1)

    def encode_images(self, images: Tensor) -> Tensor:
        """What the image encoder gives, (batch, embedding): not normalised."""
        visual = (*self._folded, self.visual)[0] if self._evaluations else self.visual
        images = images.to(self.dtype)
        if layout(visual) is None:
            # on a CPU, torch 2.15 writes beyond the memory of a weight's gradient where a 1 x 1
            # convolution with stride reads three channels last, as the first of FastViT does
            images = images.contiguous()
        return encode_images(visual, images) if self.skips else visual(images)

    @property
    def skips(self) -> bool:
        """Whether unused computation is skipped in the image tower."""
        return self.fast and not self.visual_as_loaded.changed()

    def local_features(self, images: Tensor) -> Tensor:
        """Unit vectors (batch, places, embedding) of images (batch, 3, height, width), see
        local_features.py. Raises ConfigError where the image tower has none: it is made in another
        way than OpenAI's, or was changed."""
        if changed := self.visual_as_loaded.changed():
            raise ConfigError(f"local features need the image tower as it was loaded, and it is "
                              f"changed in {changed}")
        return local_features(self.visual, images)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Without gradients, and while no parameter moves: a faster image encoder. Where that is
        kept, by several threads at once."""
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
        """The faster image encoder. Where it is kept, it is made anew when a tensor of the image
        encoder has changed, or been replaced, since."""
        if not self.keeps_folded:
            return (folded(self.visual),)
        state = [*map(_state, self.visual.modules())]
        if self._kept_fold is None or self._kept_fold[0] != state:
            # its tensors are held, so that no later one gets their place in memory
            self._kept_fold = state, (folded(self.visual),), self.visual.state_dict()
        return self._kept_fold[1]

    def steadily(self, function: Callable[..., Tensor], *parts: Tensor) -> Tensor:
        """`function` of parts (batch, ...), a result a row, computed in a batch of LEAST_ROWS at
        least: alone or among many, an image gets the same result on a CPU, bit for bit. Where
        BatchNorm takes the batch's own statistics it does not, and the batch stays as it is."""
        rows = len(parts[0])
        if not 0 < rows < LEAST_ROWS or not self.independent:
            return function(*parts)
        repeated = (part[:1].expand(LEAST_ROWS - rows, *part.shape[1:]) for part in parts)
        return function(*map(torch.cat, zip(parts, repeated)))[:rows]

    @property
    def independent(self) -> bool:
        """Whether an image's result is the same whatever images are beside it in a batch."""
        return all(norm.running_mean is not None for norm in self._norms)

    def member_features(self) -> list[Tensor]:
        """Unit vectors (K, embedding) of the known classes' prompts, of each prompt learnt."""
        return [F.normalize(self.encode(p)[0], dim=-1) for p in self.prompt.members()]

    def encode(self, prompt: PromptLearner, shifts: Tensor | None = None) -> Tensor:
        """Text features (contexts, K, embedding), not normalised: of one context, or of one for
        each of `shifts`, (contexts, width), added to every context vector."""
        if self.fast and prompt.begins_alike and not self.text_as_loaded.changed():
            return encode_shared(self.text_encoder, prompt.beginning(shifts), prompt.own)
        shifts = [0.0] if shifts is None else shifts
        return torch.stack([self.text_encoder(prompt(shift), prompt.end) for shift in shifts])

    def text_features(self, texts: list[str]) -> Tensor:
        """Unit vectors (texts, embedding) of free text, with gradient to what is tuned.

        What is beyond the tower's context is cut off; where padding does not count, work ends with
        the longest text.
        """
        tokens = self.backbone.tokenise(texts, truncate=True)
        ids, device = tokens.ids, self.token_embedding.weight.device
        if self.text_encoder.ends_at_read and not self.text_as_loaded.changed():
            ids = ids[:, : int(tokens.read.max()) + 1]
        embedded = self.token_embedding(ids.to(device)).to(self.dtype)
        return F.normalize(self.text_encoder(embedded, tokens.read.to(device)), dim=-1)

    def keep_classes(self) -> None:
        """Compute class features once and no more, unless what they depend on is tuned."""
        texts = (self.prompt, self.text_encoder, self.token_embedding)
        if not any(p.requires_grad for module in texts for p in module.parameters()):
            with torch.no_grad():
                self._kept_classes = self.class_features()

    def class_features(self) -> Tensor | None:
        """(K, embedding): the unit vectors of one prompt; of an ensemble, the mean of theirs, whose
        cosines are the mean of their cosines."""
        if self._kept_classes is not None:
            return self._kept_classes
        features = self.member_features()
        return torch.stack(features).mean(0) if len(features) > 1 else features[0]

    def forward(self, images: Tensor, class_features: Tensor | None = None) -> Tensor:
        """Cosines (batch, K), unscaled; class features are computed unless given."""
        if class_features is None:
            class_features = self.class_features()
        return self.cosines(self.image_features(images), class_features)

    def cosines(self, features: Tensor, class_features: Tensor) -> Tensor:
        """(batch, K), unscaled, of the unit vectors of images and classes."""
        return self.adapter(features, class_features)

    def encoder_hash(self) -> str:
        """Of all that an image's features depend on besides its pixels."""
        digest = hashlib.sha256(f"{self.fast} {self.dtype}".encode())
        for name, tensor in dict(self.visual.state_dict(), prompt=self.visual_prompt).items():
            if tensor is not None:
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _state(module: nn.Module) -> tuple:
    """What changes where a tensor of a module is written to, not by way of its `data`, or replaced,
    or where the module is to train."""
    own = (*module._parameters.values(), *module._buffers.values())
    # of what was made in inference mode no change is counted
    return module.training, *((t.data_ptr(), t.is_inference() or t._version)
                              for t in own if t is not None)
