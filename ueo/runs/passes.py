"""Passes over images: what the model gives of every image of a loader, whatever it is for."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from modern_dassl import distributed
from ueo.inputs import TF32


class Passes:
    """Passes of the model of `trainer` (a CLIPTrainer) as it is, without gradients."""

    def __init__(self, trainer):
        self.trainer = trainer

    @torch.no_grad()
    def unlabelled_cosines(self) -> Tensor:
        """(images, K) of the unlabelled set by the model as it is, test transform."""
        features = self.image_features(self.trainer.unlabelled_loader, "unlabelled")
        return self.cosines(features, self.trainer.model.class_features())

    def cosines(self, features: Tensor, classes: Tensor | None) -> Tensor:
        """(images, K), fp32, on the CPU, of the features (images, embedding); all of them at once
        where the adapter does so (ueo/transduction/adapters.py)."""
        model, size = self.trainer.model, self.trainer.cfg.DATALOADER.TEST.BATCH_SIZE
        if hasattr(model.adapter, "jointly"):
            return model.adapter.jointly(features.to(self.trainer.device), classes).cpu()
        parts = features.to(model.dtype).split(size)
        return torch.cat([
            model.steadily(lambda rows: model.cosines(rows, classes), part.to(self.trainer.device))
            .float().cpu() for part in parts
        ])

    def image_features(self, loader: DataLoader, name: str, shared: bool = False) -> Tensor:
        """Unit vectors (images, embedding) of an evaluation loader's images, fp32, on the CPU.

        shared: take those of an earlier run with the same images and the same image encoder.
        """
        model, images = self.trainer.model, loader.dataset
        if not shared or images.store is None or distributed.launched():
            return self.rows(loader, model.image_features, name)
        key = " ".join((
            model.encoder_hash(), images.content_hash(), str(loader.batch_size), torch.__version__,
            str(self.trainer.device), self.trainer.precision, str(torch.get_num_threads()),
            str(self.trainer.inputs.get(TF32)),
        ))
        make = lambda: self.rows(loader, model.image_features, name).numpy()  # noqa: E731
        return torch.from_numpy(images.store.array(key, make))

    def rows(self, loader: DataLoader, function: Callable[[Tensor], Tensor], name: str) -> Tensor:
        """`function` of all images of an evaluation loader, one row each: (images, ...), fp32, on
        the CPU. Under torchrun every process computes a part and gets them all."""
        hidden = None if distributed.is_main() else True  # None: unless it is a terminal
        model = self.trainer.model
        with model.evaluating():
            parts = [
                model.steadily(function, batch["img"].to(self.trainer.device)).float().cpu()
                for batch in tqdm(loader, desc=f"evaluate {name}", leave=False, disable=hidden)
            ]
        return distributed.gather(torch.cat(parts))
