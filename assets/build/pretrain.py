"""Pre-train a tiny CLIP on named drawings of the source styles and the icon pool; seeded.

    python assets/build/pretrain.py pool.npz OUTPUT [--architecture resnet|vit]
        [--recipe bench|TinyCLIP|TinyViT] [--seed N] [--unknown taught|left_out]
        [--held-apart STYLE]

OUTPUT is a .safetensors file for a ResNet and a folder for a ViT.

The towers are OpenAI's `clip.model.CLIP` with a ResNet, or open_clip's with a ViT (towers.py). The
loss is CLIP's symmetric contrastive loss between pictures and captions, where all pictures of a
caption are its positives, plus the cross-entropy of pictures that have a class over the prompts of
all classes taught. Only the tokens of captions and prompts have an embedding, in the model and in
the checkpoint.

With `--unknown left_out` the data set's unknown classes are not taught: their prompts and all
pictures whose class or caption names one are left out. Pictures of the style held apart are not
trained on. The loss on them, printed at the end, is for choosing among several pre-trainings.
"""

import argparse
import math
import sys
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from augment import augment
from captions import Captions
from emoji_classes import NAMES, NUM_KNOWN
from packages import SOURCES
from pool import Pool
from torch import Tensor, nn
from towers import ARCHITECTURES, build_model, encode_text, save, see_everything

DECAY, WARM_UP, SEED, HELD_APART, NONE = 0.05, 0.03, 1, "fxemoji", "none"
# the ViT's had the lowest loss after 400 steps, among 2e-3, 1e-3, 5e-4 and 3e-4
RATE = {"resnet": 2e-3, "vit": 5e-4}
WHOLE = 0.1  # share of the steps, at the end, in which a ViT sees all patches
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)


@dataclass(frozen=True)
class Recipe:
    """steps: those of each architecture. shares: see pool.py. strength: see augment.py."""

    steps: dict[str, int]
    batch: int
    shares: tuple[float, float]
    strength: float


RECIPES = {  # TinyCLIP had seed 2023 and no style held apart, TinyViT had seed 2023
    "bench": Recipe({"resnet": 2000, "vit": 3000}, 96, (0.85, 0.05), 0.2),
    "TinyCLIP": Recipe({"resnet": 8500}, 160, (0.34, 0.33), 1.0),
    "TinyViT": Recipe({"vit": 8000}, 96, (0.6, 0.2), 0.3),
}


def contrast(logits: Tensor, same: Tensor) -> Tensor:
    """Multi-positive InfoNCE in both directions. logits: (batch, batch); same: bool, true for
    positives."""
    loss = 0.0
    for scores, positive in ((logits, same), (logits.T, same.T)):
        share = positive.float() / positive.sum(1, keepdim=True)
        loss = loss - (share * scores.log_softmax(1)).sum(1).mean() / 2
    return loss


def encode_images(model: nn.Module, images: Tensor) -> Tensor:
    """L2-normalised features (batch, embedding) of RGB pictures in [0, 1]. The tower runs in bf16,
    the normalisation in fp32."""
    mean, std = MEAN.to(images.device), STD.to(images.device)
    images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=torch.bfloat16):
        features = model.visual(images)
    return F.normalize(features.float(), dim=-1)


def step_loss(model: nn.Module, pool: Pool, captions: Captions, recipe: Recipe,
              g: torch.Generator) -> Tensor:
    batch, index = recipe.batch, pool.sample(recipe.batch)
    image = encode_images(model, augment(pool.pictures(index), g, recipe.strength))
    texts = [captions.of(pool.names[i]) for i in index.tolist()]
    text = encode_text(model, *captions.tokens(texts + captions.prompts()))
    logits = model.logit_scale.exp().clamp(max=100) * image @ text.T
    ids = torch.tensor([captions.number(t) for t in texts])
    loss = contrast(logits[:, :batch], ids[:, None] == ids[None])
    labels = pool.labels[index]
    named = labels >= 0
    return loss + F.cross_entropy(logits[named, batch:], labels[named], label_smoothing=0.05)


@torch.no_grad()
def held_apart_loss(model: nn.Module, pool: Pool, captions: Captions) -> float:
    """Cross-entropy over the known classes' prompts, "a photo of a {}.", of the held-apart pictures
    of known classes, on white."""
    model.eval()
    prompts = [f"a photo of a {name}." for name in captions.classes[:NUM_KNOWN]]
    text = encode_text(model, *captions.tokens_of(prompts))
    losses = []
    for index in pool.held_apart.split(128):
        rgba = pool.pictures(index)
        image = encode_images(model, rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:])
        logits = model.logit_scale.exp() * image @ text.T
        losses.append(F.cross_entropy(logits, pool.labels[index], reduction="none"))
    model.train()
    return torch.cat(losses).mean().item()


def optimiser(model: nn.Module, rate: float, steps: int):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0}]
    optim = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))
    warm = max(int(WARM_UP * steps), 1)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))

    return optim, torch.optim.lr_scheduler.LambdaLR(optim, factor)


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("pool")
    p.add_argument("output")
    p.add_argument("--architecture", choices=ARCHITECTURES, default="resnet")
    p.add_argument("--recipe", choices=RECIPES, default="bench")
    p.add_argument("--seed", type=int, default=SEED)
    p.add_argument("--unknown", choices=("taught", "left_out"), default="taught",
                   help="whether the data set's unknown classes are shown and named")
    p.add_argument("--held-apart", choices=(*SOURCES, NONE), default=HELD_APART,
                   help="the style that is not trained on but measures the last loss")
    p.add_argument("--device", default="cpu", help="random numbers differ from device to device")
    return p.parse_args()


def main() -> None:
    args = arguments()
    if args.architecture not in RECIPES[args.recipe].steps:
        sys.exit(f"--recipe {args.recipe} is not one of --architecture {args.architecture}")
    torch.set_default_device(args.device)
    g = torch.Generator(args.device).manual_seed(args.seed)
    left_out, recipe = args.unknown == "left_out", RECIPES[args.recipe]
    steps = recipe.steps[args.architecture]
    pool = Pool(args.pool, recipe.shares, args.held_apart, left_out, g)
    captions = Captions(pool.captions, NAMES[:NUM_KNOWN] if left_out else NAMES, args.seed)
    model = build_model(args.architecture, args.seed, len(captions.ids)).train()
    model.visual.to(memory_format=torch.channels_last)
    optim, sched = optimiser(model, RATE[args.architecture], steps)
    print(f"{sum(q.numel() for q in model.parameters()):,} parameters, {len(captions.ids)} tokens, "
          f"groups of {[len(x) for x in pool.groups]} pictures", flush=True)
    start, smooth = time.time(), None
    for step in range(steps):
        if step == round((1 - WHOLE) * steps):
            see_everything(model)
        loss = step_loss(model, pool, captions, recipe, g)
        optim.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optim.step()
        sched.step()
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            seconds = time.time() - start
            left = seconds / (step + 1) * (steps - step - 1)
            print(f"step {step + 1}/{steps} loss {smooth:.3f} scale "
                  f"{model.logit_scale.exp().item():.1f} {seconds:.0f} s, {left:.0f} s left",
                  flush=True)
    apart = {}
    if len(pool.held_apart):
        found = held_apart_loss(model, pool, captions)
        print(f"{args.held_apart}, held apart: loss {found:.4f} on {len(pool.held_apart)} pictures")
        apart = {"held_apart": args.held_apart, "held_apart_loss": round(found, 4)}
    save(model, captions.ids, args.output, {
        "architecture": args.architecture, "seed": args.seed, "unknown": args.unknown,
        "recipe": args.recipe, "device": args.device, "steps": steps, "batch": recipe.batch,
        "rate": RATE[args.architecture], **apart,
        "loss": round(smooth, 4), "seconds": round(time.time() - start),
        "sources": " ".join(s for s in SOURCES if s != args.held_apart),
    })


if __name__ == "__main__":
    main()
