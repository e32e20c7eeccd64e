"""Pre-train the tiny CLIP on named drawings of the source styles and the icon pool; seeded.

    python assets/build/pretrain.py pool.npz OUTPUT.safetensors [--steps N] [--without STYLE ...]

The image and text towers are OpenAI's `clip.model.CLIP`. The loss is CLIP's symmetric contrastive
loss between pictures and captions, where all pictures of one caption are positives of it, plus the
contrast of each picture that has a class against the prompts of all 40 classes. Only the tokens of
captions and prompts get an embedding; the checkpoint holds just those rows.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from artwork import SIZE, SOURCES
from augment import augment
from captions import Captions
from clip.model import CLIP
from emoji_classes import NAMES
from safetensors.torch import save_file
from torch import Tensor, nn

WIDTH, LAYERS = 20, (1, 1, 1, 1)  # of the ModifiedResNet
TEXT_WIDTH, TEXT_LAYERS, EMBED, CONTEXT = 128, 3, 128, 77
BATCH, RATE, DECAY, WARM_UP, SEED = 160, 2e-3, 0.05, 0.03, 2023
SHARES = (0.34, 0.33, 0.33)  # source emoji with a class, icons with a class, everything else
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)


class Pool:
    """The pictures, sampled in three groups."""

    def __init__(self, path: str, without: list[str], g: torch.Generator):
        data = np.load(path)
        meta = json.loads(str(data["meta"]))
        self.sets, self.g = meta["sets"], g
        self.mono, self.colour = torch.from_numpy(data["mono"]), torch.from_numpy(data["colour"])
        entries = meta["mono"] + meta["colour"]
        self.names = [name for name, _, _ in entries]
        self.labels = torch.tensor([label for _, label, _ in entries])
        origin = np.array([o for _, _, o in entries])
        kept = torch.from_numpy(~np.isin(origin, without))
        emoji = torch.from_numpy(np.isin(origin, SOURCES))
        named = self.labels >= 0
        self.groups = [
            torch.nonzero(kept & part).flatten()
            for part in (emoji & named, ~emoji & named, ~named)
        ]
        self.weights = [self._balance(group) for group in self.groups]

    def _balance(self, group: Tensor) -> Tensor:
        """Sampling weights that damp large classes by the square root of their size."""
        labels = self.labels[group]
        if (labels < 0).any():
            return torch.ones(len(group))
        return labels.bincount(minlength=len(NAMES)).float()[labels] ** -0.5

    def sample(self, count: int) -> Tensor:
        """Indices of a batch."""
        sizes = [round(count * share) for share in SHARES[:2]]
        sizes.append(count - sum(sizes))
        picks = [
            group[torch.multinomial(weights, size, replacement=True, generator=self.g)]
            for group, weights, size in zip(self.groups, self.weights, sizes)
        ]
        return torch.cat(picks)

    def pictures(self, index: Tensor) -> Tensor:
        """RGBA in [0, 1], (batch, 4, SIZE, SIZE); one-colour icons in a random, mostly dark ink."""
        out = torch.empty(len(index), 4, SIZE, SIZE)
        one = index < len(self.mono)
        if one.any():
            n = int(one.sum())
            dark = torch.rand(n, 3, 1, 1, generator=self.g) * 0.6
            black = torch.rand(n, 1, 1, 1, generator=self.g) < 0.5
            inks = torch.where(black, torch.zeros(()), dark).expand(-1, -1, SIZE, SIZE)
            alpha = self.mono[index[one]].float()[:, None] / 255
            out[one] = torch.cat([inks, alpha], 1)
        rest = index[~one] - len(self.mono)
        out[~one] = self.colour[rest].permute(0, 3, 1, 2).float() / 255
        return out


def build_model(seed: int, vocabulary: int) -> CLIP:
    """OpenAI's class with fresh weights and a token embedding of the compact vocabulary."""
    torch.manual_seed(seed)
    return CLIP(EMBED, SIZE, LAYERS, WIDTH, None, CONTEXT, vocabulary, TEXT_WIDTH,
                TEXT_WIDTH // 64, TEXT_LAYERS)


def encode_text(model: CLIP, tokens: Tensor, end: Tensor) -> Tensor:
    """tokens: (texts, length) compact ids; end: (texts,) position of the end.  Unit vectors."""
    x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]
    x = x.permute(1, 0, 2)
    mask = x.new_full((len(x), len(x)), float("-inf")).triu_(1)
    for block in model.transformer.resblocks:
        h = block.ln_1(x)
        x = x + block.attn(h, h, h, need_weights=False, attn_mask=mask)[0]
        x = x + block.mlp(block.ln_2(x))
    x = model.ln_final(x.permute(1, 0, 2)[torch.arange(len(end)), end])
    return F.normalize(x.float() @ model.text_projection, dim=-1)


def contrast(logits: Tensor, same: Tensor) -> Tensor:
    """Multi-positive InfoNCE, both ways. logits: (batch, batch); same: bool, true for positives."""
    loss = 0.0
    for scores, positive in ((logits, same), (logits.T, same.T)):
        share = positive.float() / positive.sum(1, keepdim=True)
        loss = loss - (share * scores.log_softmax(1)).sum(1).mean() / 2
    return loss


def step_loss(model: CLIP, pool: Pool, captions: Captions, g: torch.Generator) -> Tensor:
    index = pool.sample(BATCH)
    images = (augment(pool.pictures(index), g) - MEAN) / STD
    texts = [captions.of(pool.names[i]) for i in index.tolist()]
    prompts = captions.prompts()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = model.visual(images.contiguous(memory_format=torch.channels_last))
        text = encode_text(model, *captions.tokens(texts + prompts))
    image, text = F.normalize(image.float(), dim=-1), text.float()
    logits = model.logit_scale.exp().clamp(max=100) * image @ text.T
    ids = torch.tensor([captions.number(t) for t in texts])
    loss = contrast(logits[:, :BATCH], ids[:, None] == ids[None])
    labels = pool.labels[index]
    named = labels >= 0
    return loss + F.cross_entropy(logits[named, BATCH:], labels[named], label_smoothing=0.05)


def optimiser(model: CLIP, steps: int):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0}]
    optim = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))
    warm = max(int(WARM_UP * steps), 1)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))

    return optim, torch.optim.lr_scheduler.LambdaLR(optim, factor)


def save(model: CLIP, captions: Captions, path: str, facts: dict) -> None:
    """OpenAI's state dict in fp16, with `token_embedding.ids` beside the compact rows."""
    state = {
        k: (v.half() if v.is_floating_point() else v).contiguous()
        for k, v in model.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    state["token_embedding.ids"] = captions.ids.int()
    metadata = {"format": "tiny_clip", **{k: str(v) for k, v in facts.items()}}
    save_file(state, path, metadata)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("pool")
    p.add_argument("output")
    p.add_argument("--steps", type=int, default=12000)
    p.add_argument("--without", nargs="*", default=[], help="sets kept out, to judge a recipe on")
    args = p.parse_args()
    g = torch.Generator().manual_seed(SEED)
    pool = Pool(args.pool, args.without, g)
    captions = Captions(pool.names, NAMES, SEED)
    model = build_model(SEED, len(captions.ids)).train().to(memory_format=torch.channels_last)
    optim, sched = optimiser(model, args.steps)
    print(f"{sum(q.numel() for q in model.parameters()):,} parameters, {len(captions.ids)} tokens, "
          f"groups of {[len(x) for x in pool.groups]} pictures", flush=True)
    start, smooth = time.time(), None
    for step in range(args.steps):
        loss = step_loss(model, pool, captions, g)
        optim.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optim.step()
        sched.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if (step + 1) % 100 == 0 or step + 1 == args.steps:
            seconds = time.time() - start
            left = seconds / (step + 1) * (args.steps - step - 1)
            print(f"step {step + 1}/{args.steps} loss {smooth:.3f} scale "
                  f"{model.logit_scale.exp().item():.1f} {seconds:.0f} s, {left:.0f} s left",
                  flush=True)
        if (step + 1) % 500 == 0 or step + 1 == args.steps:
            facts = {"seed": SEED, "steps": step + 1, "of": args.steps, "batch": BATCH,
                     "loss": round(smooth, 4), "seconds": round(time.time() - start),
                     "sources": " ".join(s for s in SOURCES if s not in args.without)}
            save(model, captions, args.output, facts)
    Path(args.output).with_suffix(".sets.json").write_text(json.dumps(pool.sets, indent=1))


if __name__ == "__main__":
    main()
