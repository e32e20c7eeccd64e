"""Malformed input for malformed.py: values, yaml, arguments, files on the disk, weights.

A case damages one part of a small, working project: the user's images, their yaml file, a grid with
finished runs, or an interrupted run.
"""

import json
import os
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ueo.files import asset

CANARY = "canary"  # the file that a name, yaml tag or pickle creates if executed


class Trap:
    """An object whose unpickling runs a command."""

    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


@dataclass(frozen=True)
class Case:
    """One call. argv: {out}, {run} and {grid} stand for folders. names: the message must contain
    one of them. prepare: damages files in the case's folder before the call."""

    label: str
    command: str
    argv: tuple[str, ...]
    names: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda folder: None


NUMBERS = ("abc", "", "None", "nan", "inf", "-1e999", "[1]", "{}", "True", "9" * 400, "--", "1+2j")
INTEGERS = (*NUMBERS, "1.5", "-7", "1e3", str(2**64))
KEYS = {
    "OPTIM.LR": (*NUMBERS, "-1"), "OPTIM.MAX_EPOCH": (*INTEGERS, "0"),
    "OPTIM.MOMENTUM": ("2", "-0.1", "1"), "OPTIM.WEIGHT_DECAY": ("-1", "nan"),
    "OPTIM.NAME": ("sdg", "", "None"), "OPTIM.ADAM_BETA1": ("1.5", "-1"),
    "DATALOADER.TRAIN_X.BATCH_SIZE": (*INTEGERS, "0"), "DATALOADER.TEST.BATCH_SIZE": ("0", "-1"),
    "DATALOADER.NUM_WORKERS": ("-1", "100000", "two"), "TRAIN.PRINT_FREQ": ("0", "-1"),
    "INPUT.SIZE": ("64", "(64,)", "(0, 0)", "(-64, -64)", "(64, 'a')", "(64, 64, 64)", "'64'"),
    "INPUT.PIXEL_STD": ("[-1, -1, -1]", "[0, 0, 0]", "[1, 1]", "[1, 1, 1e999]", "abc"),
    "INPUT.PIXEL_MEAN": ("[1, 1, None]", "[[1], [1], [1]]", "[1, 1, 1e999]", "()"),
    "INPUT.RRCROP_SCALE": ("(2, 3)", "(1, 0.1)", "(0, 1)", "(0.1,)", "(-1, 1)"),
    "INPUT.TRANSFORMS": ("['flip']", "[1]", "flip", "[None]"), "INPUT.INTERPOLATION": ("cubic",),
    "DATASET.TARGET_DOMAINS": ("(1,)", "mine"), "DATASET.SETTING": ("opens", "", "None"),
    "DATASET.PROTOCOL": ("none", ""), "DATASET.BAD_IMAGES": ("ignore",),
    "DATASET.SUBSAMPLE_CLASSES": ("odd",), "DATASET.STORE_GB": ("-1", "nan", "abc"),
    "DATASET.DEVICE_GB": ("-1", "nan", "abc"),
    "DATASET.NUM_SHOTS": ("-2", "1.5", "few"), "DATASET.ROOT": ("a\x07b",),
    "TEST.FINAL_MODEL": ("best_val", "first"), "TEST.SPLIT": ("train",), "SEED": (str(2**32), "-2"),
    "TRAINER.UEO.PROMPT_LR": ("-5", "abc", "nan", "[1]"), "TRAINER.UEO.TEMPERATURE": ("-1", "nan"),
    "TRAINER.UEO.TRADE_OFF": ("-1",), "TRAINER.UEO.N_CTX": ("0", "-4", "1000000000"),
    "TRAINER.UEO.ENSEMBLE": ("0", "2", "-1", "1000000000"), "TRAINER.UEO.PREC": ("fp8", "16"),
    "TRAINER.UEO.TUNE": ("", "both+both", "model+visual", "texts", "adapter"),
    "TRAINER.UEO.SCORE": ("mmc", ""), "TRAINER.UEO.SCHEDULE": ("cosine",),
    "TRAINER.UEO.WEIGHTING": ("oracel",), "TRAINER.UEO.DOUBT": ("none",),
    "TRAINER.UEO.OBJECTIVE": ("x",), "TRAINER.UEO.EVAL_FREQ": ("-1", "0.5"),
    "TRAINER.UEO.CTX_INIT": ("word " * 100, "a\nb"), "TRAINER.UEO.CSC": ("yes", "1"),
    "TRAINER.UEO.CLASS_TOKEN_POSITION": ("start",), "TRAINER.UEOO.SCORE": ("mcm",),
    "TRAINER.UEO": ("1",), "OPTIM": ("1",), "optim.lr": ("1",), "": ("1",), "OPTIM..LR": ("1",),
    "MODEL.BACKBONE.NAME": ("RN5", "", ".", "/dev/null", "a" * 5000),
    "TRAINER.NAME": ("UEOO", "", "None"), "DATASET.NAME": ("Emojis", "", "1"),
}


def values() -> Iterator[Case]:
    """Values on the command line that a key does not accept."""
    for key, bad in KEYS.items():
        for value in bad:
            names = (key, key.split(".")[-1], "unknown", "domain", "trainer", "data set")
            yield Case(f"{key}={value[:30]!r}", "train", ("{out}", key, value), names)


YAML = {
    "key twice": "OPTIM:\n  LR: 1\n  LR: 2\n", "section twice": "OPTIM: {LR: 1}\nOPTIM: {LR: 2}\n",
    "itself": "OPTIM: &x {LR: *x}\n", "itself in a list": "OPTIM: {LR: &x [*x]}\n",
    "deep list": "OPTIM: {LR: " + "[" * 3000 + "]" * 3000 + "}", "deep": "{a: " * 900 + "}" * 900,
    "tag": f"OPTIM: {{LR: !!python/object/apply:os.system ['touch {CANARY}']}}\n",
    "tag of a module": f"!!python/module:os {CANARY}", "own tag": "OPTIM: !x {LR: 1}\n",
    "a number as key": "1: 2\n", "null as key": "null: 2\n", "a list as key": "? [1, 2]\n: 3\n",
    "tabs": "OPTIM:\n\tLR: 1\n", "two documents": "OPTIM: {LR: 1}\n---\nOPTIM: {LR: 2}\n",
    "binary": b"\x00\xff\x00\xfe", "not UTF-8": b"OPTIM: {NAME: \xe9}", "empty": "",
    "a list": "- 1",
    "only a comment": "# OPTIM\n", "a word": "OPTIM", "a number": "3", "open": "OPTIM: {LR: [",
    "no value": "OPTIM:\n  LR:\n", "no section": "OPTIM:\n", "a date": "OPTIM: {LR: 2026-01-01}",
    "a section as value": "OPTIM: {LR: {A: 1}}", "a list as value": "OPTIM: {LR: [1]}",
    "unknown key": "OPTIM: {LRR: 1}", "out of range": "OPTIM: {LR: -1}", "nan": "OPTIM: {LR: .nan}",
    "inf in a list": "INPUT: {PIXEL_STD: [.inf, 1, 1]}", "NUL": 'DATASET: {ROOT: "a\\0b"}',
    "dots and section": "OPTIM: {LR: 1}\nOPTIM.LR: 2\n", "huge": "# x\n" * 200_000,
    "many aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi")),
    "bad alias": "OPTIM: {LR: *x}", "merge key": "OPTIM: {<<: {LR: 1}}",
    "bytes": "OPTIM: {LR: !!binary aGk=}",
    "a set": "INPUT: {SIZE: !!set {1, 2}}", "colons": "a: b: c\n", "no end": 'OPTIM: {NAME: "ad',
}


def yaml_files() -> Iterator[Case]:
    for name, content in YAML.items():
        data = content if isinstance(content, bytes) else content.encode()
        write = lambda folder, data=data: (folder / "mine.yaml").write_bytes(data)  # noqa: E731
        yield Case(f"yaml: {name}", "train", ("{out}", "--config-file", "mine.yaml"),
                   ("mine.yaml",), write)
        if name in ("key twice", "itself", "binary", "empty", "tag", "a list"):
            yield Case(f"data set yaml: {name}", "grid", ("mine.yaml", "--output", "{grid}"),
                       ("mine.yaml",), write)
    for path in ("nowhere.yaml", ".", "/dev/null", "", "a" * 5000):
        yield Case(f"yaml: {path[:20]!r}", "train", ("{out}", "--config-file", path),
                   (path[:50] or "--config-file",))


ARGUMENTS = {
    "train": [
        ("--seed", v) for v in ("abc", "1.5", "-2", "9" * 400, str(2**32), "None", "", "0x", "1e3")
    ] + [
        ("--threads", v) for v in ("-1", "abc", "1.5", "100000000")
    ] + [
        ("--eval-only",), ("--eval-only", "--model-dir", "nowhere"), ("--resume", "nowhere"),
        ("--eval-only", "--model-dir", "{run}", "--load-epoch", "0"), ("--resume", "mine.yaml"),
        ("--eval-only", "--model-dir", "{run}", "--load-epoch", "99"), ("--plugin", "nowhere.py"),
        ("--plugin", "."), ("--plugin", "/dev/null"), ("--names", "nowhere.txt"), ("--names", "."),
        ("--path", "nowhere"), ("--path", "/dev/null"), ("--root", "/dev/null"), ("OPTIM.LR",),
        ("--transforms", "flip"), ("--backbone", "RN5"), ("--backbone", "."),
        ("--domain", "x", "y"),
        ("--device", "tpu"), ("--seeds", "1"), ("--setting", "x"), ("--protocol", "x"),
        ("--output-dir", "/dev/null/x"), ("--output-dir", "/proc/x"), ("--output-dir", "a" * 5000),
        ("--output-dir", "names.txt"), ("--dataset", "x"), ("--trainer", "x"),
        ("--output-dir", "a\nb"),
    ],
    "grid": [
        ("--seed", "x"), ("--seed", "-2"), ("--jobs", "-1"), ("--jobs", "x"), ("--jobs", "9" * 400),
        ("--shard", "0/1"), ("--shard", "2/1"), ("--shard", "x"), ("--shard", "1/" + "9" * 5000),
        ("--slurm", "-1"), ("--slurm", "0"), ("--slurm", "9" * 30), ("--recipe", "x"),
        ("--slurm-set", "timeout_min", "5"), ("--slurm-cluster", "local"),
        ("--trainers", "UEOO"), ("--domain", "nowhere"), ("--setting", "opens"),
        ("--set", "OPTIM.LR"),
        ("--set", "OPTIM.LR", "-1"), ("--set", "OPTIM.LRR", "1"), ("--reference", "nowhere.csv"),
        ("--set", "TRAINER.UEO.CTX_INIT", "../../x"), ("--set", "TRAINER.UEO.CTX_INIT", "a" * 300),
        ("--set", "TRAINER.UEO.CTX_INIT", "a:b*c?d"), ("--set", "TRAINER.UEO.CTX_INIT", "a\nb"),
        ("--expect", "nowhere.csv"), ("--expect", "."), ("--reference", "small.yaml"),
        ("--path", "x"),
        ("--backbone", "RN5"), ("--protocol", "x"), ("--plugin", "nowhere.py"),
        ("--output", "/dev/null/x"),
        ("--set", "DATASET.STORE", "a\x07"), ("--config-file", "nowhere.yaml"),
        ("--names", "nowhere"),
    ],
    "wise_ft": [
        ("--alpha", v) for v in ("x", "nan", "inf", "1e999", "None", "", "[1]")
    ] + [
        ("--load-epoch", "0"), ("--load-epoch", "x"), ("--load-epoch", "99"), ("--threads", "-1"),
        ("--model-dir", "nowhere"), ("--model-dir", "."), ("--set", "OPTIM.LR"),
        ("--classes", "odd"),
        ("--set", "OPTIM.LR", "nan"), ("--domain", "nowhere"),
    ],
    "fetch": [
        ("check", "offce_home"), ("check", "office_home", "--domain", "x"), ("chek", "office_home"),
        ("check", "office_home", "--root", "nowhere"),
        ("check", "office_home", "--root", "/dev/null"),
    ],
}  # fmt: skip


def arguments() -> Iterator[Case]:
    start = {"train": ("{out}",), "grid": ("--output", "{grid}", "--dry-run"),
             "wise_ft": ("--model-dir", "{run}"), "fetch": ()}
    for command, calls in ARGUMENTS.items():
        for call in calls:
            words = " ".join(word[:20] for word in call)
            yield Case(f"{command} {words!r}", command, (*start[command], *call),
                       tuple(w[:40] for w in call if w) + (call[0].lstrip("-"),))


def _edit(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def edited(content: bytes) -> bytes:
        data = json.loads(content)
        changed = change(data)
        return json.dumps(data if changed is None else changed).encode()

    return edited


def _array(content: bytes) -> bytes:
    path = Path("damaged.npz")
    np.savez(path, test_labels=np.array([Trap(), None], dtype=object))
    return path.read_bytes()


def _tensors(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def edited(content: bytes) -> bytes:
        path = Path("damaged.pt")
        path.write_bytes(content)
        found = torch.load(path, weights_only=False)
        changed = change(found)
        torch.save(found if changed is None else changed, path)
        return path.read_bytes()

    return edited


ANY = {
    "empty": lambda content: b"", "half": lambda content: content[: len(content) // 2],
    "other bytes": lambda content: random.Random(0).randbytes(300),
    "text": lambda content: b"nothing of the kind\n",
    "a pickle": lambda content: pickle.dumps(Trap()),
}
JSON = {
    "a list": _edit(lambda data: [data]), "null": _edit(lambda data: 0), "NaN": lambda c: b"NaN",
    "deep": lambda c: b"[" * 100_000, "no keys": lambda c: b"{}",
    "numbers": _edit(lambda data: {key: 1 for key in data} if isinstance(data, dict) else [1]),
    "texts": _edit(lambda data: {key: "x" for key in data} if isinstance(data, dict) else ["x"]),
}
RECORD = {
    "no metrics": _edit(lambda data: data.pop("metrics") and None),
    "no config": _edit(lambda data: data.pop("config") and None),
    "metrics of NaN": _edit(lambda d: d["metrics"]["test"].update(auroc=float("nan"))),
    "metrics of text": _edit(lambda d: d["metrics"]["test"].update(auroc="98.1")),
    "metrics beyond 100": _edit(lambda d: d["metrics"]["test"].update(auroc=1e9)),
    "a seed of text": _edit(lambda d: d.update(seed="one")),
    "no environment": _edit(lambda d: d.pop("environment") and None),
}
STATES = {
    "a tensor": _tensors(lambda found: torch.zeros(3)), "a list": _tensors(lambda found: [1]),
    "no state": _tensors(lambda found: found.pop("state_dict") and None),
    "no epoch": _tensors(lambda found: found.update(epoch="x")),
    "other tensors": _tensors(lambda f: f.update(state_dict={"x": torch.zeros(2)})),
    "other shapes": _tensors(lambda f: f.update(
        state_dict={k: torch.zeros(2) for k in f["state_dict"]})),
    "NaN": _tensors(lambda f: f.update(
        state_dict={k: v * float("nan") for k, v in f["state_dict"].items()})),
    "no random states": _tensors(lambda f: f.update(random_states={"x": 1})),
    "no optimizer": _tensors(lambda f: f.update(optimizer={"x": 1})),
}
AGAIN, TABLES = ("train", ("{run}",)), ("grid", ("--output", "{grid}", "--tables-only"))
RESUME, WISE = ("train", ("{cut}",)), ("wise_ft", ("--model-dir", "{run}", "--alpha", "0.5"))
EVALUATE = ("train", ("{out}", "--eval-only", "--model-dir", "{run}"))
POINTERS = {**ANY, "outside": lambda content: b"../../../x", "NUL": lambda content: b"\0"}
DISK = (  # (files, damages, calls that read them)
    ("run/result.json", {**ANY, **JSON, **RECORD}, (AGAIN, WISE)),
    ("grid/folder/UEO/**/result.json", {**ANY, **JSON, **RECORD}, (TABLES,)),
    ("cut/config.json", {**ANY, **JSON}, (RESUME,)),
    ("cut/evaluations.json", {**ANY, **JSON}, (RESUME,)),
    ("cut/tuned/checkpoint", POINTERS, (RESUME,)),
    ("cut/tuned/model.pth.tar-*", {**ANY, **STATES}, (RESUME,)),
    ("run/tuned/model.pth.tar-*", {**ANY, **STATES}, (EVALUATE, WISE)),
    ("run/tuned/checkpoint", POINTERS, (EVALUATE,)),
    ("run/outputs.npz", {**ANY, "objects": _array}, (AGAIN,)),
)


def disk() -> Iterator[Case]:
    """Files of finished runs and of an interrupted one."""
    for pattern, damages, calls in DISK:
        for name, damage in damages.items():
            def prepare(folder, pattern=pattern, damage=damage):
                for path in folder.glob(pattern):
                    path.write_bytes(damage(path.read_bytes()))
                for picture in folder.rglob("scores.png"):
                    picture.unlink()  # the call draws it again, from damaged files

            for command, argv in calls:
                words = " ".join((command, *argv))
                file = pattern.rpartition("/")[2].removesuffix("-*")
                yield Case(f"{pattern} {name}: {words}", command, argv, (file, "tuned"), prepare)


def _weights() -> dict[str, Callable[[dict], object]]:
    first = "visual.conv1.weight"
    return {
        "a prefix": lambda s: {f"module.{k}": v for k, v in s.items()},
        "another prefix": lambda s: {f"clip.{k}": v for k, v in s.items()},
        "Hugging Face": lambda s: {f"vision_model.encoder.layers.0.{k}": v for k, v in s.items()},
        "open_clip": lambda s: {f"visual.trunk.{k}": v for k, v in s.items()},
        "NaN": lambda s: {**s, first: s[first] * float("nan")},
        "one missing": lambda s: {k: v for k, v in s.items() if k != first},
        "another shape": lambda s: {**s, first: s[first][:, :1]},
        "numbers": lambda s: dict.fromkeys(s, 1.0), "nothing": lambda s: {},
        "a list": lambda s: [1],
        "a trap": lambda s: Trap(), "a model": lambda s: torch.nn.Linear(2, 2),
        "numbers as keys": lambda s: dict(enumerate(s.values())),
    }


def weights() -> Iterator[Case]:
    """Files of weights for MODEL.BACKBONE.NAME."""
    for name, change in _weights().items():
        def prepare(folder, change=change):
            state = change(load_file(asset("tiny_clip.safetensors")))
            torch.save(state, folder / "mine.pt")

        yield Case(f"weights: {name}", "train", ("{out}", "--backbone", "mine.pt"), ("mine.pt",),
                   prepare)
    for name, damage in ANY.items():
        for suffix in (".pt", ".safetensors"):
            def prepare(folder, suffix=suffix, damage=damage):
                path = folder / f"mine{suffix}"
                save_file({"x": torch.zeros(100)}, path)
                path.write_bytes(damage(path.read_bytes()))

            yield Case(f"weights: {name}{suffix}", "train",
                       ("{out}", "--backbone", f"mine{suffix}"), (f"mine{suffix}",), prepare)


def every() -> list[Case]:
    return [*values(), *yaml_files(), *arguments(), *weights(), *disk()]
