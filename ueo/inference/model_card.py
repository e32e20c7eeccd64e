"""The card of an exported model: what it is, what it was made from, and how to use it."""

from ueo import __version__
from ueo.clip.backbones import TINY, name_in_paths
from ueo.clip.towers import openai_files
from ueo.clip.towers.open_clip_names import EMBEDDED, is_published
from ueo.inference.summary import verdict_of
from ueo.results.render import EXPLAINED
from ueo.results.wording import NAMES
from ueo.text import markdown

OPENAI_LICENCE = "OpenAI's CLIP, code and weights: MIT"
TINY_LICENCE = (
    "{name} was made from works under Apache-2.0, MIT, CC-BY and other licences; whoever passes "
    "this model on passes on their attributions too, which are in `assets/LICENCES` of the "
    "toolbox; `assets/{file}.md` describes it"
)
OPEN_CLIP_LICENCE = (
    "open_clip's weights come from many places: the page of this set of weights gives their licence"
)
OWN_LICENCE = "The weights came from a file: its source gives their licence"
LISTED = 100  # class names; model.json has all
HOLDS = {
    "model.safetensors": "the image tower with what was tuned of it, class features, adapter",
    "negative_names.npz": "features of the negative names, which the score needs",
    "model.json": "class names, threshold, pre-processing, logit scale",
    "clip_state_dict.pt": "the whole CLIP, merged, in OpenAI's layout: `clip.load` and open_clip",
    "open_clip_model.safetensors": "the whole CLIP, merged, for open_clip: "
                                   "`create_model_and_transforms(\"local-dir:FOLDER\")`",
    "open_clip_config.json": "its configuration and pre-processing",
    "model.onnx": "`pixels`, (batch, height, width, 3) uint8, resized and cropped as below, to "
                  "`probabilities`, (batch, classes), and `score`, (batch,)",
}
USE = """\
```python
import ueo  # the UEO toolbox

model = ueo.load("FOLDER")  # this folder
for prediction in model.predict(["a.jpg", "b.jpg"]):
    print(prediction.image, prediction.name if prediction.known else "none of these")
```"""
PARTS = {  # what OpenAI's layout has no place for
    "prompt": "the learnt prompt, which lives on in the class features of model.safetensors",
    "visual_prompt": "the learnt tokens beside an image's patches",
    "adapter": "the adapter behind the image tower",
    "meta_net": "the network that shifts the prompt of each image",
}


def card(result: dict, facts: dict, left_out: list[str], files: list[str]) -> str:
    """Return the card as Markdown. result: the record of the run; facts: model.json; left_out: what
    OpenAI's layout does not hold; files: names of the files beside the card."""
    title = markdown(f"{result['trainer']} on {result['title']}, {result['domain']}")
    parts = [
        f"# {title}\n\nA CLIP that tells {len(facts['class_names'])} classes apart, and "
        f"whether an image shows any of them. Made with the UEO toolbox {__version__}.",
        "## Classes\n\n" + _classes(facts["class_names"]),
        f"## Use\n\n{USE}",
        "## Files\n\n" + _files(left_out, files),
        "## Pre-processing\n\n" + _preprocessing(facts["preprocessing"]),
        "## Probability, score and threshold\n\n" + _threshold(facts),
        "## Data\n\n" + _data(result),
        "## Recipe\n\n" + _recipe(result, facts),
        "## Metrics\n\n" + _metrics(result),
        "## Licence\n\n" + _licence(facts["backbone"]),
    ]
    return "\n\n".join(parts) + "\n"


def _classes(names: list[str]) -> str:
    more = len(names) - LISTED
    listed = ", ".join(markdown(name) for name in names[:LISTED])
    return listed + (f", and {more:,} more in model.json." if more > 0 else ".")


def _files(left_out: list[str], files: list[str]) -> str:
    lines = [f"- `{name}`: {words}" for name, words in HOLDS.items() if name in files]
    if left_out:
        parts = "; ".join(PARTS.get(part, f"`{part}`") for part in left_out)
        lines.append(f"\nThe whole CLIP has no place for {parts}.")
    return "\n".join(lines)


def _preprocessing(steps: dict) -> str:
    return (
        f"{steps['colours']}, {steps['orientation']}. {_resized(steps)} Values are divided by "
        f"{steps['divide_by']}; then, per channel, the mean {steps['mean']} is subtracted and the "
        f"result divided by the standard deviation {steps['std']}. The ONNX file does these three "
        "steps itself."
    )


def _resized(steps: dict) -> str:
    way = steps["interpolation"]
    if "resize_both_sides" in steps:
        height, width = steps["resize_both_sides"]
        return f"Both sides are resized ({way}), to {height} x {width}."
    if "resize_within" in steps:
        height, width = steps["resize_within"]
        return f"The image is resized ({way}) to fit {height} x {width}; the rest is black."
    height, width = steps["centre_crop"]
    return (
        f"The shorter side is resized to {steps['resize_shorter_side']} pixels ({way}), and the "
        f"centre is cropped to {height} x {width}."
    )


def _threshold(facts: dict) -> str:
    return (
        "The probability is the softmax of the model's own logits. **It is not calibrated**: 0.9 "
        f"does not mean right nine times out of ten. The score is `{facts['score']}`; larger means "
        f"more like a known class.\n\n{verdict_of(facts)}"
    )


def _data(result: dict) -> str:
    counts = result["counts"]
    return _table({
        "data set": f"{result['title']}, {result['domain']}",
        "label space": result["setting"],
        "protocol": result["protocol"],
        "unlabelled images": f"{counts['unlabelled']:,}",
        "test images": f"{counts['test']:,}",
        "of them among the unlabelled": f"{counts['unlabelled_and_tested']:,}",
        "labels used in training": "yes" if result["uses_labels"] else "no",
    })


def _recipe(result: dict, facts: dict) -> str:
    config = result["config"]
    return _table({
        "trainer": result["trainer"],
        "backbone": facts["backbone"],
        "epochs": config["OPTIM.MAX_EPOCH"] if facts["trained"] else "nothing was trained",
        "learning rate": config["OPTIM.LR"],
        "optimiser": config["OPTIM.NAME"],
        "batch": config["DATALOADER.TRAIN_X.BATCH_SIZE"],
        "tuned parameters": f"{result['counts']['tuned_parameters']:,}",
        "precision": result["precision"],
        "seed": result["seed"],
    })


def _metrics(result: dict) -> str:
    found = {key: value for key, value in result["metrics"]["test"].items()
             if key in EXPLAINED and value is not None}
    if not found:
        return "The images have no labels, so nothing could be measured."
    rows = {f"{NAMES[key]}: {EXPLAINED[key]}": f"{value:.2f}" for key, value in found.items()}
    return "Test set, in percent.\n\n" + _table(rows)


def _licence(backbone: str) -> str:
    if backbone in openai_files.published():
        licence = OPENAI_LICENCE
    elif backbone == TINY or backbone in EMBEDDED:
        licence = TINY_LICENCE.format(name=backbone, file=name_in_paths(backbone))
    else:
        licence = OPEN_CLIP_LICENCE if is_published(backbone) else OWN_LICENCE
    return (f"{licence}. The toolbox is MIT. What the images that it was adapted to may be used "
            "for is up to their owner.")


def _table(rows: dict) -> str:
    lines = [f"| {markdown(key)} | {markdown(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])
