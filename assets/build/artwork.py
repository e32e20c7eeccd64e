"""Read the npm packages of artwork: icon sets as SVG, emoji names, and bitmaps."""

import io
import json
import re
import tarfile
from pathlib import Path

import resvg_py
from packages import NAMES_PACKAGE, SETS, SIZE
from PIL import Image

SIGNS = {"&": "and", "#": "pound", "*": "asterisk", "!": "exclamation", "ñ": "n"}


def tarball(folder: Path, package: str, version: str) -> Path:
    """Path of a package's tarball. If it is missing, exit with the command that fetches it."""
    path = folder / f"{package.lstrip('@').replace('/', '-')}-{version}.tgz"
    if not path.is_file():
        raise SystemExit(f"{path} is missing; in {folder} run: npm pack {package}@{version}")
    return path


def read_member(path: Path, name: str) -> bytes:
    """Content of one file of a package."""
    with tarfile.open(path) as archive:
        return archive.extractfile(f"package/{name}").read()


def squeeze(name: str) -> str:
    """A name reduced to lower-case letters and digits, to compare spellings."""
    for sign, word in SIGNS.items():
        name = name.replace(sign, word)
    return re.sub(r"[^a-z0-9]", "", name.lower())


def code(hexcode: str) -> str:
    """A hexcode in lower case without variation selectors."""
    return "-".join(p for p in hexcode.lower().split("-") if p != "fe0f")


def svg(icon_set: dict, name: str, colour: str = "#000000") -> str:
    """The SVG text of an icon; `colour` replaces "currentColor"."""
    icon = icon_set["icons"][name]
    box = [icon.get(k, icon_set.get(k, d)) for k, d in
           (("left", 0), ("top", 0), ("width", 16), ("height", 16))]
    body = icon["body"].replace("currentColor", colour)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{" ".join(map(str, box))}" width="{SIZE}" height="{SIZE}">{body}</svg>'
    )


def render(svg_text: str) -> Image.Image:
    """An SVG as an RGBA picture of SIZE x SIZE pixels, centred if it is not square."""
    png = resvg_py.svg_to_bytes(svg_string=svg_text, width=SIZE, height=SIZE)
    return _square(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))


def _square(image: Image.Image) -> Image.Image:
    if image.size != (SIZE, SIZE):
        image.thumbnail((SIZE, SIZE), Image.LANCZOS)
        canvas = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
        canvas.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
        image = canvas
    return image


def on_white(image: Image.Image) -> Image.Image:
    """An RGBA picture composited on white, as RGB."""
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


class IconStyle:
    """Pictures of one icon set, looked up by an emoji's English label."""

    def __init__(self, folder: Path, style: str):
        package, version, *_ = SETS[style]
        self.icons = json.loads(read_member(tarball(folder, package, version), "icons.json"))
        self.names = {squeeze(name): name for name in self.icons["icons"]}
        for alias, target in self.icons.get("aliases", {}).items():
            if target["parent"] in self.icons["icons"] and len(target) == 1:
                self.names.setdefault(squeeze(alias), target["parent"])

    def has(self, emoji: dict) -> bool:
        return squeeze(emoji["label"]) in self.names

    def picture(self, emoji: dict) -> Image.Image:
        return render(svg(self.icons, self.names[squeeze(emoji["label"])]))


class PictureStyle:
    """Pictures of a package with one bitmap per codepoint."""

    def __init__(self, folder: Path, style: str):
        package, version, *_ = SETS[style]
        self.path = tarball(folder, package, version)
        self.files = {}
        with tarfile.open(self.path) as archive:
            for member in archive:
                stem = Path(member.name)
                if stem.suffix == ".webp":
                    self.files[code(stem.stem.removeprefix("00"))] = archive.extractfile(
                        member
                    ).read()

    def has(self, emoji: dict) -> bool:
        return code(emoji["hexcode"].removeprefix("00")) in self.files

    def picture(self, emoji: dict) -> Image.Image:
        data = self.files[code(emoji["hexcode"].removeprefix("00"))]
        image = Image.open(io.BytesIO(data)).convert("RGBA")
        return _square(image.resize((SIZE, SIZE), Image.LANCZOS))


def load_style(folder: Path, style: str):
    """The pictures of `style` from its tarball in `folder`."""
    return (PictureStyle if style == "fluent_3d" else IconStyle)(folder, style)


def read_emoji(folder: Path) -> list[dict]:
    """Every emoji with label, tags, hexcode and the name of its subgroup, in Unicode order."""
    path = tarball(folder, *NAMES_PACKAGE)
    groups = json.loads(read_member(path, "meta/groups.json"))["subgroups"]
    emoji = json.loads(read_member(path, "en/data.json"))
    emoji = [e for e in emoji if "subgroup" in e]
    for entry in emoji:
        entry["subgroup"] = groups[str(entry["subgroup"])]
    return sorted(emoji, key=lambda e: e["order"])
