"""The names that pictures and LaTeX tables show for the code's identifiers.

An identifier without an entry, such as a plug-in's method, is shown with spaces for "_".
"""

import re

METHODS = {
    "ZeroshotCLIP": "zero-shot CLIP", "CLIPAdapter": "CLIP-Adapter", "FineTune": "fine-tuning",
    "LinearProbe": "linear probe", "TipAdapter": "Tip-Adapter", "TipAdapterF": "Tip-Adapter-F",
    "UPAdapter": "UP-Adapter", "UniEntPlus": "UniEnt+",
}  # fmt: skip
SCORES = {
    "mcm": "MCM", "msp": "MSP", "max_logit": "max logit",
    "max_less_half_mean": "max less half mean", "energy": "energy (T = 1)",
    "energy_logits": "energy (logits)", "kl_uniform": "KL to uniform", "gl_mcm": "GL-MCM",
    "mahalanobis": "Mahalanobis", "knn": "k-NN", "neglabel": "NegLabel", "tanl": "TANL",
    "own": "its own",
}  # fmt: skip
METRICS = {
    "pacc": "PACC", "auroc": "AUROC", "fpr95": "FPR95", "hm": "HM", "h_score": "H-score",
    "accuracy": "GACC", "ece": "ECE",
}  # fmt: skip
SETTINGS = {"open_partial": "open-partial", "as_is": "as is"}
RULES = {"otsu": "Otsu", "mixture": "two Gaussians", "same_share": "share of zero-shot CLIP"}
DOMAINS = {
    "amazon": "Amazon", "dslr": "DSLR", "webcam": "Webcam", "RealWorld": "Real World",
    "fluent": "Fluent", "fluent_flat": "Fluent flat", "fluent_3d": "Fluent 3D",
    "fluent_high_contrast": "Fluent high-contrast", "noto_v1": "Noto v1", "noto": "Noto",
    "caltech101": "Caltech101", "oxford_pets": "OxfordPets", "stanford_cars": "StanfordCars",
    "oxford_flowers": "Flowers102", "food101": "Food101", "sun397": "SUN397", "dtd": "DTD",
    "eurosat": "EuroSAT", "ucf101": "UCF101", "fgvc_aircraft": "FGVCAircraft",
    "imagenet": "ImageNet", "imagenetv2": "ImageNetV2", "imagenet_sketch": "ImageNet-Sketch",
    "imagenet_a": "ImageNet-A", "imagenet_r": "ImageNet-R", "inaturalist": "iNaturalist",
    "sun": "SUN", "places": "Places", "textures": "Textures",
}  # fmt: skip
SHIFTS = {"gaussian_noise": "Gaussian noise", "jpeg_compression": "JPEG compression"}
CLEAN = 0  # severity of a domain without shift


def method(name: str) -> str:
    return METHODS.get(name, _tidied(name))


def score(name: str) -> str:
    return SCORES.get(name, _tidied(name))


def setting(name: str) -> str:
    return SETTINGS.get(name, _tidied(name))


def shift(name: str) -> str:
    return SHIFTS.get(name, _tidied(name))


def dataset(title: str) -> str:
    """title: of a record; the name in the registry if the data set has none."""
    return _tidied(title.removeprefix("UFT"))


def domain(name: str) -> str:
    style, of, severity = shifted(name)
    words = DOMAINS.get(style, _tidied(style))
    return f"{words}, {shift(of)} {severity}" if severity else words


def shifted(name: str) -> tuple[str, str, int]:
    """(style, shift, severity) of a domain: ("fluent", "scene", 2) of "fluent+scene2"; of one
    without shift (its name, "", CLEAN)."""
    found = re.fullmatch(r"(.+)\+([a-z_]+)([1-9])", name)
    return (found[1], found[2], int(found[3])) if found else (name, "", CLEAN)


def shortened(words: str, most: int) -> str:
    """Cut to at most `most` characters, with "…" for what is left out in the middle."""
    if len(words) <= most:
        return words
    tail = most // 3
    return f"{words[: most - tail - 1]}…{words[-tail:]}"


def _tidied(name: str) -> str:
    return name.replace("_", " ").strip() or name
