"""Anchor-based robust fine-tuning, ARF (Han et al., CVPR 2024, arXiv:2404.06244).

Fine-tuning on short class prompts alone makes CLIP forget much of its pre-training. ARF adds two
anchors with richer text to the contrastive loss on class prompts, which is FLYP's:

    L = L_class + a * contrastive(image, its caption)                 text-compensated anchor
                + b * contrastive(retrieved image, retrieved text)    image-text-pair anchor

The retrieved pairs are those most similar to the task in a pool that resembles CLIP's pre-training
data. Inference is plain CLIP. No code is public. Choices of ours: both weights are 1; an image's
captions take turns, one an epoch; pairs are retrieved once, by the zero-shot model, and come in
batches as large as the others, with the same augmentation. Without anchors this is FLYP.
"""

from collections.abc import Iterator

from dassl.data.transforms import build_transform
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.errors import ConfigError
from ueo.images.items import Images
from ueo.images.loaders import EvaluationLoader
from ueo.images.transforms import evaluation_transform
from ueo.pairs.captions import captions_of
from ueo.pairs.pool import Pairs, open_pool, pair_loader
from ueo.pairs.pool_features import PoolFeatures
from ueo.settings.options import Option
from ueo.trainers.flyp import FLYP

RULES = ("image", "text")  # compare pairs' images with the task's, or texts with class prompts


@TRAINER_REGISTRY.register()
class ARF(FLYP):
    capturable = False  # captions take turns
    input_files = ("CAPTIONS", "POOL")
    defaults = {
        "CAPTIONS": "",  # JSON lines of images and captions, or "embedded"; "": no such anchor
        "CAPTION_WEIGHT": Option(1.0, low=0),  # a
        "POOL": "",  # folder or tar of image-text pairs, or "embedded"; "": no such anchor
        "PAIR_WEIGHT": Option(1.0, low=0),  # b
        "PAIRS": Option(512, low=1),  # number of retrieved pairs
        "RULE": Option("image", choices=RULES),
        "POOL_FEATURES": "",  # folder that keeps features of pools; "": below DATASET.ROOT
        "SEARCH_MEMORY": Option(256 * 2**20, low=1),  # bytes that the search may use
    }

    def before_train(self) -> None:
        options, dataset = self.options, self.dm.dataset
        self.captions = self.pool = None  # None: without this anchor
        if options.CAPTIONS and options.CAPTION_WEIGHT:
            self.captions = captions_of(options.CAPTIONS, dataset.train_x, dataset.root)
        if options.POOL and options.PAIR_WEIGHT:
            self.pool = open_pool(options.POOL, self.cfg.DATASET.ROOT)
            if options.PAIRS > len(self.pool):
                raise ConfigError(
                    f"TRAINER.ARF.PAIRS: {options.PAIRS} pairs are asked for, the pool "
                    f"{options.POOL} holds {len(self.pool)}; ask for 1 to {len(self.pool)}"
                )
        if self.captions is None and self.pool is None:
            print("ARF: without TRAINER.ARF.CAPTIONS and TRAINER.ARF.POOL this is FLYP")
        super().before_train()

    def prepare(self, zero_shot: Tensor) -> None:
        self.notes["anchors"] = [n for n, source in
                                 (("captions", self.captions), ("pairs", self.pool)) if source]
        if self.pool is None:
            return
        options, plain = self.options, evaluation_transform(self.cfg)
        sizes = self.cfg.DATALOADER
        features = PoolFeatures(
            self.pool, self.model, plain, options.POOL_FEATURES or self.cfg.DATASET.ROOT,
            sizes.TEST.BATCH_SIZE, sizes.NUM_WORKERS,
        )
        chosen, similarity = features.nearest(
            options.RULE, self._task(plain), options.PAIRS, options.SEARCH_MEMORY
        )
        self.notes["pair_similarity"] = [float(similarity[-1]), float(similarity[0])]
        print(f"ARF: {len(chosen)} of {len(self.pool)} pairs, similarity "
              f"{similarity[0]:.3f} to {similarity[-1]:.3f}")
        pairs = Pairs(self.pool, chosen, build_transform(self.cfg, is_train=True))
        self.pair_texts = [self.pool.text(position) for position in chosen]
        self.pair_loader = pair_loader(pairs, sizes.TRAIN_X.BATCH_SIZE, sizes.NUM_WORKERS)

    def _task(self, transform) -> Tensor:
        """Return unit features to compare pairs with: of labelled images, or of class prompts."""
        if self.options.RULE == "text":
            return self.model.class_features().detach().float().cpu()
        loader = EvaluationLoader(
            Images(self.dm.dataset.train_x, transform, upright=self.train_loader_x.dataset.upright),
            self.cfg, self.device,
        )
        return self.passes.image_features(loader, "task")

    def before_epoch(self) -> None:
        super().before_epoch()
        if self.pool is not None:
            self.upcoming = _endless(self.pair_loader)

    def loss(self, batch: dict) -> dict[str, Tensor]:
        images = self.features(batch["img"])  # (batch, embedding)
        terms = {"class_loss": self.on_classes(images, batch)}
        if self.captions is not None:
            own = [self.captions[i] for i in batch["index"].tolist()]
            texts = self.model.text_features([texts[self.epoch % len(texts)] for texts in own])
            terms["caption_loss"] = self.options.CAPTION_WEIGHT * self.contrast(images, texts)
        if self.pool is not None:
            pairs, whole = self.whole_batch(next(self.upcoming))
            texts = self.model.text_features([self.pair_texts[i] for i in pairs["index"].tolist()])
            images = self.features(pairs["img"], whole)
            terms["pair_loss"] = self.options.PAIR_WEIGHT * self.contrast(images, texts)
        return {"loss": sum(terms.values()), **terms}


def _endless(loader) -> Iterator[dict]:
    while True:
        yield from loader
