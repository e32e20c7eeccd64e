"""One prompted CLIP for every method: images and class prompts in, unscaled cosines out."""

import torch
import torch.nn.functional as F
from clip.model import CLIP, VisionTransformer
from torch import Tensor, nn

from ueo.clip.backbones import logit_scale
from ueo.clip.prompts import CONTEXT_STD, PromptEnsemble, PromptLearner
from ueo.errors import ConfigError


class TextEncoder(nn.Module):
    """CLIP's text tower on prompt embeddings instead of tokens, on sequences of any length."""

    def __init__(self, clip_model: CLIP):
        super().__init__()
        self.blocks = clip_model.transformer.resblocks
        self.positional_embedding = clip_model.positional_embedding
        self.ln_final = clip_model.ln_final
        self.text_projection = clip_model.text_projection

    def forward(self, prompts: Tensor, end: Tensor) -> Tensor:
        """Features at the end-of-text token.

        prompts: (classes, length, width); end: (classes,), position of the end of text.
        Returns (classes, embedding), not normalised.
        """
        length = prompts.shape[1]
        x = prompts + self.positional_embedding[:length].to(prompts.dtype)
        mask = x.new_full((length, length), float("-inf")).triu_(1)  # causal
        x = x.permute(1, 0, 2)  # (length, classes, width), the layout of CLIP's attention
        for block in self.blocks:
            h = block.ln_1(x)
            x = x + block.attn(h, h, h, need_weights=False, attn_mask=mask)[0]
            x = x + block.mlp(block.ln_2(x))
        x = x.permute(1, 0, 2)[torch.arange(len(end), device=end.device), end]
        return self.ln_final(x).to(prompts.dtype) @ self.text_projection


class PromptedCLIP(nn.Module):
    """Image encoder, prompt learner and text encoder. Always in eval mode, training included:
    BatchNorm uses CLIP's running statistics and never moves them."""

    def __init__(self, clip_model: CLIP, prompt: PromptLearner | PromptEnsemble):
        super().__init__()
        self.visual = clip_model.visual
        self.prompt = prompt
        self.text_encoder = TextEncoder(clip_model)
        self.dtype = clip_model.dtype
        self.logit_scale = logit_scale(clip_model)
        self.visual_prompt: nn.Parameter | None = None
        self.eval()

    def add_visual_prompt(self, tokens: int, generator: torch.Generator) -> None:
        """Learnable tokens beside the patches at the entrance of a ViT (Jia et al., ECCV 2022,
        shallow variant). Raises ConfigError for a ResNet, which has no tokens."""
        if not isinstance(self.visual, VisionTransformer):
            raise ConfigError("TUNE: 'visual_prompt' needs a ViT, this backbone is a ResNet")
        norm = self.visual.ln_pre
        start = torch.randn(tokens, norm.weight.shape[0], generator=generator) * CONTEXT_STD
        self.visual_prompt = nn.Parameter(start.to(norm.weight))
        norm.register_forward_hook(self._with_visual_prompt)

    def _with_visual_prompt(self, module: nn.Module, args: tuple, tokens: Tensor) -> Tensor:
        prompt = self.visual_prompt.to(tokens.dtype).expand(len(tokens), -1, -1)
        return torch.cat([tokens, prompt], dim=1)  # (batch, patches + prompt, width)

    def image_features(self, images: Tensor) -> Tensor:
        """Unit vectors (batch, embedding) of images (batch, 3, height, width)."""
        return F.normalize(self.visual(images.to(self.dtype)), dim=-1)

    def member_features(self) -> list[Tensor]:
        """Unit vectors (K, embedding) of the known classes' prompts, of each prompt learnt."""
        return [
            F.normalize(self.text_encoder(prompt(), prompt.end), dim=-1)
            for prompt in self.prompt.members()
        ]

    def class_features(self) -> Tensor:
        """(K, embedding): the unit vectors of one prompt; of an ensemble, the mean of theirs, whose
        cosines are the mean of their cosines."""
        features = self.member_features()
        return torch.stack(features).mean(0) if len(features) > 1 else features[0]

    def forward(self, images: Tensor, class_features: Tensor | None = None) -> Tensor:
        """Cosines (batch, K), unscaled; class features are computed unless given."""
        if class_features is None:
            class_features = self.class_features()
        return self.image_features(images) @ class_features.T
