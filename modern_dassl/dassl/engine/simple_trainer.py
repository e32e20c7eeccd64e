"""SimpleTrainer: the loop of a classifier with data, a model and an evaluator.

Construction order: check_cfg, device, build_data_loader, build_model, evaluator.
"""

import datetime
import os.path as osp
import time

import torch
from dassl.data import DataManager
from dassl.engine.base import TrainerBase
from dassl.engine.checkpoints import bring_best
from dassl.engine.epoch_log import EpochLog
from dassl.evaluation import build_evaluator
from dassl.modeling import SimpleNet
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import (
    ConfigValueError,
    DataValueError,
    MissingFileError,
    check_availability,
    count_num_param,
    load_pretrained_weights,
)
from dassl.utils.torchtools import POINTER
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from modern_dassl import distributed

FINAL_MODELS = ["last_step", "best_val", "last_val"]  # last_val: UPL's name for last_step
COUNT_ITERS = ["train_x", "train_u", "smaller_one"]


class SimpleTrainer(TrainerBase):
    """The loop with data, a model and an evaluator, configured by `cfg`.

    gathers_batches: under torchrun, the loss is computed on the outputs of all processes.
    """

    gathers_batches = False

    def __init__(self, cfg):
        super().__init__()
        self._check_options(cfg)
        self.check_cfg(cfg)
        use_cuda = torch.cuda.is_available() and cfg.USE_CUDA
        self.device = torch.device("cuda" if use_cuda else "cpu")
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self.cfg = cfg
        self.build_data_loader()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)

    @staticmethod
    def _check_options(cfg) -> None:
        for key, value, known in (
            ("TEST.FINAL_MODEL", cfg.TEST.FINAL_MODEL, FINAL_MODELS),
            ("TEST.SPLIT", cfg.TEST.SPLIT, ["val", "test"]),
            ("TRAIN.COUNT_ITER", cfg.TRAIN.COUNT_ITER, COUNT_ITERS),
        ):
            check_availability(value, known, key)
        if cfg.TRAIN.PRINT_FREQ < 1:
            raise ConfigValueError(
                f"TRAIN.PRINT_FREQ must be at least 1, not {cfg.TRAIN.PRINT_FREQ}"
            )

    def check_cfg(self, cfg) -> None:
        """Hook: raise for options that the trainer cannot use."""

    def build_data_loader(self) -> None:
        """Build a data manager and pass it to `use_data`."""
        self.use_data(DataManager(self.cfg))

    def use_data(self, dm: DataManager) -> None:
        """Set dm, the loaders, num_classes, num_source_domains and lab2cname."""
        self.dm = dm
        self.train_loader_x = self.dm.train_loader_x
        self.train_loader_u = self.dm.train_loader_u
        self.val_loader = self.dm.val_loader
        self.test_loader = self.dm.test_loader
        self.num_classes = self.dm.num_classes
        self.num_source_domains = self.dm.num_source_domains
        self.lab2cname = self.dm.lab2cname

    def build_model(self) -> None:
        """Build and register a SimpleNet of MODEL, its optimiser and its schedule; load the weights
        of MODEL.INIT_WEIGHTS that fit."""
        print("Building model")
        self.model = SimpleNet(self.cfg, self.cfg.MODEL, self.num_classes)
        if self.cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model, self.cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        print(f"# params: {count_num_param(self.model):,}")
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("model", self.model, self.optim, self.sched)

    def train(self) -> None:
        super().train(self.start_epoch, self.max_epoch)

    def before_train(self) -> None:
        if self.cfg.RESUME:
            self._check_resume(self.cfg.RESUME)
            self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME)
            self.best_result = bring_best(
                self.best_result, self.cfg.RESUME, self.output_dir, self.get_model_names()
            )
        if self._chooses_by_validation():
            self._require(self.val_loader, "val")
        self.init_writer(osp.join(self.output_dir, "tensorboard"))
        self.time_start = time.time()  # of this process, not of the run before resuming

    def _check_resume(self, directory: str) -> None:
        for name in self.get_model_names():
            pointer = osp.join(directory, name, POINTER)
            if not osp.isfile(pointer):
                raise MissingFileError(f"RESUME: {pointer}: no checkpoint to resume from")

    def _chooses_by_validation(self) -> bool:
        return not self.cfg.TEST.NO_TEST and self.cfg.TEST.FINAL_MODEL == "best_val"

    def after_epoch(self) -> None:
        done = self.epoch + 1
        if self._chooses_by_validation():
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(
                    self.epoch, self.output_dir, val_result=result, model_name="model-best.pth.tar"
                )
        frequency = self.cfg.TRAIN.CHECKPOINT_FREQ
        if done == self.max_epoch or (frequency > 0 and done % frequency == 0):
            self.save_model(self.epoch, self.output_dir)

    def after_train(self) -> None:
        print("Finish training\nFinished training")  # log parsers look for CoOp's or MaPLe's words
        if not self.cfg.TEST.NO_TEST:
            if self.cfg.TEST.FINAL_MODEL == "best_val":
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        seconds = max(0, round(time.time() - self.time_start))  # the clock may have been set back
        elapsed = datetime.timedelta(seconds=seconds)
        print(f"Elapsed: {elapsed}")
        self.close_writer()

    def _require(self, loader, split: str):
        if loader is None:
            raise DataValueError(
                f"{self.cfg.DATASET.NAME} has no {split} images, but TEST.SPLIT or "
                f"TEST.FINAL_MODEL asks for them"
            )
        return loader

    @torch.no_grad()
    def test(self, split: str | None = None):
        """Evaluate on "val" or "test" (TEST.SPLIT by default); return the first result.

        Raise DataValueError if there are no such images.
        """
        split = self.cfg.TEST.SPLIT if split is None else split
        check_availability(split, ["val", "test"], "split")
        loader = self._require(self.val_loader if split == "val" else self.test_loader, split)
        self.set_model_mode("eval")
        self.evaluator.reset()
        print(f"Evaluate on the *{split}* set")
        for output, label in self._outputs(loader):
            self.evaluator.process(output, label)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        return next(iter(results.values()))

    def _outputs(self, loader: DataLoader):
        """Yield (output, labels) of each batch; under torchrun once for all images, after each
        process has computed a part."""
        part = distributed.share(list(loader.sampler))
        alone = not distributed.launched() or len(loader.dataset) < distributed.world_size()
        if not alone:
            loader = DataLoader(
                loader.dataset,
                loader.batch_size,
                sampler=part,
                num_workers=loader.num_workers,
                collate_fn=loader.collate_fn,
            )
        pairs = (
            (self.model_inference(input), label)
            for input, label in map(self.parse_batch_test, _progress(loader, "evaluate"))
        )
        if alone:
            yield from pairs
        else:
            outputs, labels = zip(*pairs)
            yield self._gathered(outputs), self._gathered(labels)

    @staticmethod
    def _gathered(batches: tuple[Tensor, ...]) -> Tensor:
        return distributed.gather(torch.cat(batches))

    def model_inference(self, input):
        return self.model(input)

    def parse_batch_test(self, batch):
        """(images, labels) on the device."""
        return batch["img"].to(self.device), batch["label"].to(self.device)

    # an epoch

    def _run_batches(self, batches, num_batches: int) -> None:
        """Train on every batch; log every TRAIN.PRINT_FREQ batches."""
        self.set_model_mode("train")
        self.num_batches = num_batches
        log, title = EpochLog(self), f"epoch {self.epoch + 1}/{self.max_epoch}"
        start = time.monotonic()
        for self.batch_idx, batch in enumerate(_progress(batches, title, num_batches)):
            waited = time.monotonic() - start
            losses = self._step(batch)
            log.add(losses, waited, time.monotonic() - start)
            start = time.monotonic()
        log.read()

    def _check_shares(self, *loaders) -> None:
        """Raise ConfigValueError for unequal shares: the means over them get equal weight. Losses
        of whole batches do not need this."""
        equal = all(getattr(loader, "shared_equally", True) for loader in loaders)
        if not equal and not self.gathers_batches:
            raise ConfigValueError(
                f"a batch cannot be shared equally by {distributed.world_size()} processes; choose "
                "a BATCH_SIZE that can, no larger than the number of images"
            )

    def _step(self, batch):
        return self.forward_backward(batch)


def _progress(batches, title: str, total: int | None = None):
    """Wrap `batches` in a progress bar, shown by the main process on a terminal."""
    hidden = None if distributed.is_main() else True  # None: shown on a terminal only
    return tqdm(batches, desc=title, total=total, leave=False, disable=hidden)
