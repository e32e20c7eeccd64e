"""Learnable prompts of CoOp (Zhou et al., IJCV 2022, arXiv:2109.01134).

A prompt is [start] [context vectors] [class name .] [end]; only the context vectors are learnt.
"""

import torch
from torch import Tensor, nn

from ueo.clip.fast_text import OwnTokens
from ueo.clip.towers.interface import Backbone

POSITIONS = ("end", "middle", "front")
CONTEXT = "a photo of a"
TEMPLATE = CONTEXT + " {}."  # for data sets without a template of their own
CONTEXT_STD = 0.02  # of a random context, as in CoOp
PLACEHOLDER = "a"  # one token, replaced by a random vector


class PromptLearner(nn.Module):
    """Context vectors and the fixed token embeddings around them.

    classnames: the K known names; "_" is read as a space.
    context:    words that initialise the context, or "" for `n_ctx` random vectors. With "{}" it is
                a template whose end is fixed: "a photo of a {}, a type of pet."
    class_specific: one context a class instead of one for all.
    position:   of the class name: after the context, in its middle, or before it.
    full_precision: keep the context in fp32 although weights are fp16.
    whole: keep the padding even if it has no effect, as the released code does.

    `ctx` is (n_ctx, width), or (K, n_ctx, width) when class-specific.
    """

    def __init__(
        self,
        classnames: list[str],
        backbone: Backbone,
        context: str = CONTEXT,
        n_ctx: int = 4,
        class_specific: bool = False,
        position: str = "end",
        generator: torch.Generator | None = None,
        full_precision: bool = False,
        whole: bool = False,
    ):
        super().__init__()
        embed, dtype = backbone.token_embedding, backbone.dtype
        context, template, rest = context.replace("_", " ").partition("{}")
        context, rest = context.strip(), rest.rstrip(". ")
        if context or template:
            ctx = self._embed_words(context, backbone)
            n_ctx = len(ctx)
            if class_specific:
                ctx = ctx.expand(len(classnames), -1, -1).clone()
        else:
            shape = (n_ctx, embed.weight.shape[1])
            shape = (len(classnames), *shape) if class_specific else shape
            ctx = torch.empty(shape).normal_(std=CONTEXT_STD, generator=generator)
        ctx = ctx.to(torch.float32 if full_precision else dtype)
        self.ctx = nn.Parameter(ctx.to(embed.weight.device))
        self.position = position
        prefix = context if context or template else " ".join([PLACEHOLDER] * n_ctx)
        prompts = [f"{prefix} {name.replace('_', ' ')}{rest}." for name in classnames]
        self._tokenise(prompts, backbone, whole)

    @staticmethod
    def _embed_words(words: str, backbone: Backbone) -> Tensor:
        """Return the embeddings of the words' tokens, (tokens, width)."""
        tokens, embed = backbone.tokenise([words]), backbone.token_embedding
        start = backbone.tokenise.num_start
        with torch.no_grad():
            embedded = embed(tokens.ids.to(embed.weight.device))[0]
        return embedded[start : start + int(tokens.lengths)].clone()

    def _tokenise(self, prompts: list[str], backbone: Backbone, whole: bool) -> None:
        """Embed every prompt once. Unless `whole`, cut padding that the tower does not read."""
        tokens, embed, text = backbone.tokenise(prompts), backbone.token_embedding, backbone.text
        ids, start, n_ctx = tokens.ids, backbone.tokenise.num_start, self.ctx.shape[-2]
        begin = start + n_ctx
        if text.ends_at_pooled and not whole:
            ids = ids[:, : int(tokens.pooled.max()) + 1]
        with torch.no_grad():
            embedding = embed(ids.to(embed.weight.device)).to(backbone.dtype)  # (K, length, width)
        self.name_lengths = (tokens.lengths - n_ctx - backbone.tokenise.num_period).tolist()
        self.register_buffer("end", tokens.pooled.to(embedding.device), persistent=False)
        self.register_buffer("prefix", embedding[:, :start], persistent=False)  # start of text
        self.register_buffer("suffix", embedding[:, begin:], persistent=False)  # name, end, padding
        shared = text.shares_beginning
        self.own = OwnTokens(self.suffix, begin, self.end - begin) if shared else None

    def forward(self, shift: Tensor | float = 0.0) -> Tensor:
        """Return prompt embeddings (K, length, width), as long as the longest prompt, or as the
        tower's context if padding is kept. shift: (width,), added to every context vector."""
        ctx = self.ctx.to(self.prefix.dtype) + shift
        ctx = ctx if ctx.dim() == 3 else ctx.expand(len(self.end), -1, -1)
        if self.position == "end":
            return torch.cat([self.prefix, ctx, self.suffix], dim=1)
        split = ctx.shape[1] // 2 if self.position == "middle" else 0
        rows = []
        for k, length in enumerate(self.name_lengths):
            name, rest = self.suffix[k, :length], self.suffix[k, length:]
            rows.append(torch.cat([self.prefix[k], ctx[k, :split], name, ctx[k, split:], rest]))
        return torch.stack(rows)

    @property
    def begins_alike(self) -> bool:
        """Whether all prompts are the same up to the class name, and the tower can exploit it."""
        return self.own is not None and self.ctx.dim() == 2 and self.position == "end"

    def beginning(self, shifts: Tensor | None = None) -> Tensor:
        """Return the embeddings of the common beginning, (contexts, start + n_ctx, width): one
        context, or one for each of `shifts` (contexts, width), added to every context vector."""
        ctx = self.ctx.to(self.prefix.dtype)
        ctx = ctx[None] if shifts is None else ctx + shifts[:, None]
        return torch.cat([self.prefix[:1].expand(len(ctx), -1, -1), ctx], dim=1)

    def members(self) -> list["PromptLearner"]:
        """Return itself, as an ensemble of one."""
        return [self]


class PromptEnsemble(nn.Module):
    """Prompts that are learnt side by side and whose cosines are averaged."""

    def __init__(self, prompts: list[PromptLearner]):
        super().__init__()
        self.prompts = nn.ModuleList(prompts)

    def members(self) -> list[PromptLearner]:
        return list(self.prompts)


def build_prompt(
    classnames: list[str], backbone: Backbone, options, template: str, seed: int
) -> PromptLearner | PromptEnsemble:
    """Build the prompt, or the ensemble of ENSEMBLE prompts, that a trainer's options describe.

    template: what CTX_INIT "template" means; seed: of random contexts, which differ in an ensemble.
    """
    prompts = [
        PromptLearner(
            classnames,
            backbone,
            context=template if options.CTX_INIT == "template" else options.CTX_INIT,
            n_ctx=options.N_CTX,
            class_specific=options.CSC,
            position=options.CLASS_TOKEN_POSITION,
            generator=torch.Generator().manual_seed(seed + 1000 * number),
            full_precision=options.CTX_FP32,
            whole=not options.FAST,
        )
        for number in range(options.ENSEMBLE)
    ]
    return prompts[0] if len(prompts) == 1 else PromptEnsemble(prompts)
