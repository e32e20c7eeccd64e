"""Shards for tests, written byte by byte, and a quick run on them."""

import functools
import http.server
import io
import os
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from conftest import REPOSITORY, picture
from PIL import Image


def png(number: int) -> bytes:
    """A small picture, different for each argument."""
    file = io.BytesIO()
    rng = np.random.default_rng(number)
    Image.fromarray(picture(rng, number % 6, 2 * (number % 2))).save(file, "png")
    return file.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return path


def make(folder: Path, counts: tuple[int, ...], start: int = 0) -> str:
    """Write names.txt and shards with so many pictures each; return the list that --path takes."""
    for number, count in enumerate(counts):
        files = {f"{start + i:04}.png": png(start + i) for i in range(count)}
        write_tar(folder / f"{number}.tar", files)
        start += count
    (folder / "names.txt").write_text("bike\ndesk lamp\nguitar\n")
    return f"{folder}/{{0..{len(counts) - 1}}}.tar"


def arguments(path: str, names: Path, weights: dict, output, *options: str, trainer: str = "UEO",
              dataset: str = "shards", epochs: int = 2, batch: int = 8) -> list[str]:
    """Command line of a quick run."""
    return [
        "--trainer", trainer, "--path", path, "--names", str(names),
        "--dataset-config-file", str(REPOSITORY / f"configs/datasets/{dataset}.yaml"),
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--backbone", weights["vit"], "--seed", "1", "--device", "cpu", "--threads", "1",
        "--output-dir", str(output), "INPUT.SIZE", "(32, 32)", "OPTIM.MAX_EPOCH", str(epochs),
        "OPTIM.LR", "1e-2", "DATALOADER.NUM_WORKERS", "0", "TRAIN.PRINT_FREQ", "1",
        "DATALOADER.TRAIN_X.BATCH_SIZE", str(batch), "SHARDS.LANES", "2", "SHARDS.SHUFFLE", "12",
        *options,
    ]


def killed(work: Callable[[], object]) -> None:
    """Do `work` in a forked child, which must reach `kill_self`."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def kill_self() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a local server that serves a folder."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
