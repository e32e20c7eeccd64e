"""Zero-shot features of a pool of image-text pairs: computed once, stored and searched."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from modern_dassl import distributed
from ueo.clip.model import PromptedCLIP
from ueo.files import exclusive
from ueo.pairs.neighbours import nearest, stored
from ueo.pairs.pool import Pairs, Pool

FOLDER = "pool_features"
BATCHES = 16  # between two points from which an interrupted computation can resume


class PoolFeatures:
    """Image and text features of a pool, in root/pool_features/<key>, where the key depends on the
    pool's files, the model's weights and the transform.

    transform: the evaluation transform of `model`.
    """

    def __init__(self, pool: Pool, model: PromptedCLIP, transform, root: str, batch_size: int,
                 workers: int):
        self.pool, self.model, self.transform = pool, model, transform
        self.batch_size, self.workers = batch_size, workers
        self.device = next(model.parameters()).device
        digest = hashlib.sha256(f"{pool.identity}\0{transform}".encode())
        for name, tensor in model.state_dict().items():
            if not name.startswith("prompt."):
                digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        self.folder = Path(root).expanduser() / FOLDER / digest.hexdigest()[:16]

    def nearest(self, kind: str, queries: Tensor, count: int, memory: int
                ) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and similarities of the pairs whose "image" or "text", as `kind` says,
        is most similar to any query (neighbours.py). queries: (queries, embedding), unit vectors.
        """
        path = self.folder / f"{kind}.npy"
        with distributed.main_first():
            self.folder.mkdir(parents=True, exist_ok=True)
            with exclusive(self.folder / f".{kind}.lock"):
                self._compute(path, kind)
        return nearest(path, queries.numpy(), count, memory)

    def _compute(self, path: Path, kind: str) -> None:
        encode = self._images if kind == "image" else self._texts
        with tqdm(total=len(self.pool), desc=f"pool, {kind}s", leave=False,
                  disable=None, unit="pair") as bar, self.model.evaluating():

            def compute(start: int, stop: int) -> np.ndarray:
                rows = torch.cat([part.float().cpu() for part in encode(range(start, stop))])
                bar.n = stop
                bar.refresh()
                return rows.numpy()

            stored(path, len(self.pool), compute, BATCHES * self.batch_size)

    def _images(self, positions: range):
        loader = DataLoader(Pairs(self.pool, positions, self.transform), self.batch_size,
                            num_workers=self.workers, generator=torch.Generator())
        for batch in loader:
            yield self.model.image_features(batch["img"].to(self.device))

    def _texts(self, positions: range):
        for start in range(0, len(positions), self.batch_size):
            texts = [self.pool.text(i) for i in positions[start : start + self.batch_size]]
            yield self.model.text_features(texts)
