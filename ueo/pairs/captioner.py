"""Caption images with a pre-trained captioner of the BLIP family, through transformers.

transformers is an optional extra: `pip install ".[captions]"`.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from tqdm import tqdm

from ueo.errors import CheckpointError, ConfigError, DataError, first_line, from_here
from ueo.files import check_file, write_text, writing
from ueo.images.decoding import image_suffixes, read_image
from ueo.images.folders import Unread, images_below
from ueo.images.unreadable import damaged, say_skipped
from ueo.pairs.captions import read_captions
from ueo.text import shown

MISSING = (
    "captioning needs the package transformers, which is not installed; "
    'run: pip install ".[captions]"'
)


def images_of(folder: str | Path) -> list[str]:
    """Return the sorted relative paths of the readable images below a folder. Other files and
    unreadable images are printed. Raises DataError if no image is left."""
    unread = Unread()
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: is no folder{from_here(str(folder))}")
    paths = images_below(folder, unread)
    reasons = damaged(paths)
    say_skipped(reasons)
    names = [Path(p).relative_to(folder).as_posix() for p in paths if p not in reasons]
    if unread:
        print(f"Ignored: {unread}")
    if not names:
        raise DataError(f"{folder}: holds no image ({', '.join(sorted(image_suffixes()))})")
    return names


class Captioner:
    """Caption images with a model that transformers loads by name or from a folder.

    Raises ConfigError without transformers, CheckpointError for a model that it cannot load.
    """

    def __init__(self, name: str, device: str, number: int, length: int):
        try:
            from transformers import AutoModelForImageTextToText, AutoProcessor
        except ImportError as error:
            raise ConfigError(MISSING) from error
        try:
            self.processor = AutoProcessor.from_pretrained(name)
            self.model = AutoModelForImageTextToText.from_pretrained(name).to(device).eval()
        except Exception as error:  # transformers raises a dozen types of errors
            first = first_line(error)
            raise CheckpointError(
                f"--model {name}: not a captioner that transformers can load ({first}); name a "
                "folder of weights or a hub id such as Salesforce/blip-image-captioning-base"
            ) from error
        self.device, self.number, self.length = device, number, length

    @torch.no_grad()
    def __call__(self, paths: list[Path]) -> list[list[str]]:
        """Return `number` captions of each image by beam search, without empty and equal ones."""
        images = [read_image(path, upright=True) for path in paths]
        inputs = self.processor(images=images, return_tensors="pt").to(self.device)
        tokens = self.model.generate(
            **inputs, max_new_tokens=self.length, num_beams=max(3, self.number),
            num_return_sequences=self.number, do_sample=False,
        )
        texts = [t.strip() for t in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        rows = (texts[i : i + self.number] for i in range(0, len(texts), self.number))
        return [[text for text in dict.fromkeys(row) if text] for row in rows]


def write_captions(folder: str | Path, output: str | Path, how: dict, batch_size: int,
                   captioner: Callable[[list[Path]], list[list[str]]]) -> int:
    """Caption every image below `folder` into the file `output`, and return their number.

    The file is written atomically. Until then `<output>.part` holds the finished captions, from
    which an interrupted call resumes; its first line holds the settings `how`. Raises ConfigError
    if that file has other settings, DataError for an image without a caption.
    """
    names, part = images_of(folder), Path(f"{output}.part")
    done = _done(part, how)
    left = [name for name in names if name not in done]
    with writing(part), open(part, "a", encoding="utf-8") as file:
        for start in tqdm(range(0, len(left), batch_size), desc="caption", disable=None):
            batch = left[start : start + batch_size]
            for name, texts in zip(batch, captioner([Path(folder, name) for name in batch])):
                if not texts:
                    raise DataError(f"{Path(folder, name)}: the captioner gave no caption")
                done[name] = texts
                file.write(_line(name, texts))
            file.flush()
    write_text(output, "".join(_line(n, done[n]) for n in names))
    part.unlink()
    return len(names)


def _line(name: str, texts: Iterable[str]) -> str:
    escaped = shown(name) != name  # bytes that are not UTF-8 must be escaped
    return json.dumps({"image": name, "captions": list(texts)}, ensure_ascii=escaped) + "\n"


def _done(part: Path, how: dict) -> dict[str, list[str]]:
    """Return the captions of an interrupted call; drop a line that it did not finish."""
    head = json.dumps(how, sort_keys=True) + "\n"
    if not part.is_file():
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(head, encoding="utf-8")
        return {}
    lines = part.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    if not lines:
        lines = [head]
    if lines[0] != head:
        raise ConfigError(
            f"{part}: was begun with other options ({lines[0].strip()}); use these again, or "
            "remove it"
        )
    write_text(part, "".join(lines))
    rows = map(json.loads, lines[1:])
    return {row["image"]: row["captions"] for row in rows}


def check_output(output: str | Path, folder: str | Path) -> bool:
    """Whether `output` already holds the captions of the images below `folder`. Raises ConfigError
    if it cannot be written or holds captions of other images, DataError if it cannot be read."""
    check_file(Path(output), "--output")
    if not Path(output).is_file():
        return False
    captions, names = read_captions(output).keys(), set(images_of(folder))
    if other := captions ^ names:
        raise ConfigError(
            f"--output {output}: already exists, of {len(captions)} images; --images {folder} has "
            f"{len(names)}, and {min(other)!r} is only in one of them; remove it, or name another"
        )
    return True
