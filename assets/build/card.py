"""Write the tiny CLIP's model card and the table of its pre-training sets from measured figures.

    python assets/build/card.py EVALUATION.json

Writes assets/tiny_clip.json (the figures), assets/tiny_clip.md and assets/LICENCES/PRETRAINING.md.
Every figure of the card comes from the JSON of evaluate.py.
"""

import json
import sys
from pathlib import Path

from emoji_classes import NAMES, NUM_KNOWN
from packages import POOL_PACKAGE, SETS, SOURCES, TARGETS
from pretrain import DECAY, RATE, RECIPES, WARM_UP
from towers import CONTEXT, EMBED, RESNET_LAYERS, RESNET_WIDTH, TEXT_LAYERS, TEXT_WIDTH

RECIPE = RECIPES["TinyCLIP"]
ASSETS = Path(__file__).resolve().parents[1]
AIMED_AT = ("fluent", "fluent_flat", "noto_v1", "fluent_high_contrast")
AIMS = {"margin": 10, "acc28": 60, "auroc": 72}
COLUMNS = {
    "style": "style",
    "images": "images",
    "acc28": "28-way",
    "acc40": "40-way",
    "auroc": "AUROC",
    "nn_acc28": "1-NN 28-way",
    "nn_acc40": "1-NN 40-way",
    "nn_auroc": "1-NN AUROC",
    "near_duplicates": "alike, emoji %",
    "near_duplicates_pool": "alike, icons %",
    "concepts_seen": "concept seen %",
}
LINKS = {
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "Unlicense": "https://unlicense.org/",
}


def table(rows: list[dict], columns: dict[str, str]) -> str:
    """A Markdown table; floats have one decimal."""
    def cell(value) -> str:
        return f"{value:.1f}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(r.get(c, "")) for c in columns) + " |" for r in rows]
    return "\n".join(lines)


def aims(styles: dict) -> str:
    """Which aims each style met, or by how much it missed them."""
    rows = []
    for style in AIMED_AT:
        f = styles[style]
        values = {"margin": f["acc28"] - f["nn_acc28"], "acc28": f["acc28"], "auroc": f["auroc"]}
        row = {"style": f"`{style}`"}
        for name, aim in AIMS.items():
            short = aim - values[name]
            verdict = "met" if short <= 0 else f"**missed by {short:.1f}**"
            row[name] = f"{values[name]:.1f}: {verdict}"
        rows.append(row)
    return table(rows, {
        "style": "style",
        "margin": f"28-way over 1-NN, aim {AIMS['margin']} points",
        "acc28": f"28-way, aim {AIMS['acc28']} %",
        "auroc": f"AUROC, aim {AIMS['auroc']}",
    })


def figures(styles: dict, names: tuple[str, ...]) -> str:
    return table([{"style": f"`{s}`", **styles[s]} for s in names], COLUMNS)


def sources(result: dict) -> str:
    pool = result["pool"]
    rows = [
        {"name": f"`{s}`", "package": f"{SETS[s][0]} {SETS[s][1]}", "author": SETS[s][2],
         "licence": SETS[s][3], "count": pool["emoji"][s]}
        for s in SOURCES
    ]
    licences = ", ".join(sorted({v[2] for v in pool["sets"].values()}))
    rows.append({
        "name": f"{len(pool['sets'])} icon sets", "package": " ".join(POOL_PACKAGE),
        "author": "[LICENCES/PRETRAINING.md](LICENCES/PRETRAINING.md)", "licence": licences,
        "count": sum(v[3] for v in pool["sets"].values()),
    })
    return table(rows, {"name": "set", "package": "package", "author": "author",
                        "licence": "licence", "count": "images"})


def card(result: dict) -> str:
    """The text of tiny_clip.md."""
    m, pool, styles = result["model"], result["pool"], result["styles"]
    text = (Path(__file__).with_name("card.txt")).read_text()
    values = {
        "megabytes": f"{m['bytes'] / 1e6:.1f}", "tokens": m["tokens"],
        "parameters": f"{m['parameters']:,}", "visual": f"{m['parameters_visual']:,}",
        "scale": f"{m['scale']:.1f}", "layers": RESNET_LAYERS,
        "width": RESNET_WIDTH, "heads": RESNET_WIDTH * 32 // 64,
        "text_width": TEXT_WIDTH, "text_layers": TEXT_LAYERS, "text_heads": TEXT_WIDTH // 64,
        "embed": EMBED, "context": CONTEXT, "steps": m["steps"], "of": m["steps"],
        "seed": m["seed"], "batch": RECIPE.batch, "rate": RATE["resnet"], "decay": DECAY,
        "warm_up": f"{100 * WARM_UP:.0f}", "share": f"{100 * RECIPE.shares[0]:.0f}",
        "loss": m["loss"],
        "minutes": f"{int(m['seconds']) / 60:.0f}", "cpu": result["cpu"],
        "forward": f"{result['cost']['forward']:.2f}",
        "both": f"{result['cost']['forward_backward']:.2f}", "prompt": result["prompt"],
        "known": NUM_KNOWN, "classes": len(NAMES), "unknown": len(NAMES) - NUM_KNOWN,
        "emoji_named": f"{pool['emoji_with_class']:,}",
        "icons_named": f"{pool['icons_with_class']:,}",
        "se": f"{max(styles[s]['acc28_se'] for s in TARGETS):.1f}",
        "sources": sources(result), "aims": aims(styles),
        "target_table": figures(styles, TARGETS), "source_table": figures(styles, SOURCES),
    }
    return text.format(**values)


def pretraining(pool: dict) -> str:
    """The text of LICENCES/PRETRAINING.md: the icon sets that the tiny CLIP learnt from."""
    rows = [
        {"set": f"{name} (`{prefix}`)", "author": author, "licence": licence, "count": count}
        for prefix, (name, author, licence, count) in sorted(pool["sets"].items())
    ]
    links = "\n".join(f"- {name}: <{url}>" for name, url in LINKS.items())
    return (
        "# Icon sets that the tiny CLIP was pre-trained on\n\n"
        "Their pictures are not part of this repository: they were rendered from the SVG files of\n"
        f"{POOL_PACKAGE[0]} {POOL_PACKAGE[1]}, altered at random, and learnt from. Licences as\n"
        "stated by that package. The emoji sets are in `ATTRIBUTION.md`.\n\n"
        + table(rows, {"set": "set", "author": "author", "licence": "licence", "count": "images"})
        + "\n\nThe licence texts stand beside this file, but for these:\n\n"
        + links + "\n"
    )


def main() -> None:
    result = json.loads(Path(sys.argv[1]).read_text())
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (ASSETS / "tiny_clip.json").write_text(text)
    (ASSETS / "tiny_clip.md").write_text(card(result))
    (ASSETS / "LICENCES" / "PRETRAINING.md").write_text(pretraining(result["pool"]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main()
