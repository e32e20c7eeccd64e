"""What every method here shares: model, precision, stepping, evaluation and the record.

A method is four things: its `defaults`, `trainable()`, `prepare()` (what it computes once from the
zero-shot model) and `loss(batch) -> dict`, whose "loss" is minimised and whose other entries are
logged. Batches of an unsupervised method hold neither labels nor paths.
"""

import time
from pathlib import Path

import torch
from dassl.data.transforms import build_transform
from dassl.engine import TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from ueo.clip.backbones import load_clip, resolve_precision
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import PromptLearner
from ueo.clip.tuning import as_module, select
from ueo.config import options_of
from ueo.data import Images, evaluation_loader, training_loader
from ueo.errors import ConfigError
from ueo.evaluation import Evaluations
from ueo.lists import NO_LABEL
from ueo.scores import SCORES

MODEL = "tuned"  # folder of the checkpoints: they hold the tuned parameters alone


class CLIPTrainer(TrainerX):
    """Adapts a prompted CLIP to the images of one domain."""

    uses_labels = False
    deterministic = False  # True: every seed gives the same result
    defaults = {
        "N_CTX": 4,  # context vectors when CTX_INIT is empty
        "CTX_INIT": "a photo of a",  # words that initialise the context
        "CSC": False,  # class-specific context
        "CLASS_TOKEN_POSITION": "end",  # end, middle, front
        "PREC": "fp16",  # fp16 (as released), fp32, amp; fp32 on a CPU
        "TUNE": "both",  # prompt, visual_affine, both
        "PROMPT_LR": None,  # None: OPTIM.LR
        "VISUAL_LR": None,  # None: OPTIM.LR
        "SCHEDULE": "iteration",  # cosine to 0 over all iterations; "epoch": Dassl's scheduler
        "EVAL_FREQ": 10,  # epochs between evaluations; the last epoch is always evaluated
        "SCORE": "mcm",  # OOD score that the evaluator reports
    }

    # what a method defines

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        """Parameter groups: part -> {name: parameter}."""
        return select(self.model, self.options.TUNE)

    def prepare(self, zero_shot: Tensor) -> None:
        """Compute what the method needs once, before any step.

        zero_shot: (images, K), unscaled cosines of the unlabelled images in the order of their
        list, test transform, fp32.
        """

    def loss(self, batch: dict) -> dict[str, Tensor]:
        """batch: img (batch, 3, height, width), index (batch,).  Returns scalars."""
        raise TypeError(f"{type(self).__name__} must define loss(batch)")

    # what the engine asks for

    def check_cfg(self, cfg) -> None:
        name = type(self).__name__
        self.options = options_of(cfg, name, self.defaults)
        if cfg.TEST.FINAL_MODEL != "last_step" and not self.uses_labels:
            raise ConfigError(
                f"TEST.FINAL_MODEL: {name} deploys its last step; choosing an epoch by the labels "
                "of the target is refused"
            )
        if self.options.SCHEDULE not in ("iteration", "epoch"):
            raise ConfigError(
                f"TRAINER.{name}.SCHEDULE: {self.options.SCHEDULE!r} is unknown; "
                "known: iteration, epoch"
            )
        if self.options.SCORE not in SCORES:
            raise ConfigError(
                f"TRAINER.{name}.SCORE: {self.options.SCORE!r} is unknown; "
                f"known: {', '.join(SCORES)}"
            )

    def build_data_loader(self) -> None:
        super().build_data_loader()
        cfg, dataset = self.cfg, self.dm.dataset
        workers = cfg.DATALOADER.NUM_WORKERS
        if self.uses_labels:
            self._check_labelled(dataset)
        items = dataset.train_x if self.uses_labels else dataset.train_u
        images = Images(items, build_transform(cfg, is_train=True), hide=not self.uses_labels)
        self.train_loader_x = training_loader(
            images, cfg.DATALOADER.TRAIN_X.BATCH_SIZE, workers
        )
        plain, size = build_transform(cfg, is_train=False), cfg.DATALOADER.TEST.BATCH_SIZE
        self.test_loader = evaluation_loader(Images(dataset.test, plain), size, workers)
        self.unlabelled_loader = evaluation_loader(Images(dataset.train_u, plain), size, workers)

    def _check_labelled(self, dataset) -> None:
        name = type(self).__name__
        if any(item.label == NO_LABEL for item in dataset.train_x):
            raise ConfigError(f"{name} trains with labels, which {dataset.title!r} lacks")
        if {i.impath for i in dataset.train_x} & {i.impath for i in dataset.test}:
            raise ConfigError(
                f"{name} trains with labels and would be tested on the same images; set "
                "DATASET.NUM_SHOTS, whose images leave the test set, or --protocol independent"
            )

    def build_model(self) -> None:
        cfg, options = self.cfg, self.options
        self.precision = resolve_precision(options.PREC, self.device)
        clip_model = load_clip(cfg.MODEL.BACKBONE.NAME, self.precision, self.device)
        self._check_resolution(clip_model)
        prompt = PromptLearner(
            self.dm.dataset.classnames,
            clip_model,
            context=options.CTX_INIT,
            n_ctx=options.N_CTX,
            class_specific=options.CSC,
            position=options.CLASS_TOKEN_POSITION,
            generator=torch.Generator().manual_seed(max(cfg.SEED, 0)),
        )
        self.model = PromptedCLIP(clip_model, prompt).to(self.device).requires_grad_(False)
        self.groups = self.trainable()
        self.scaler = torch.amp.GradScaler() if self.precision == "amp" else None
        if self.groups:
            self._build_optimiser()
        self.evaluations = Evaluations(self)

    def _check_resolution(self, clip_model: nn.Module) -> None:
        size, expected = self.cfg.INPUT.SIZE, clip_model.visual.input_resolution
        if tuple(size) != (expected, expected):
            raise ConfigError(
                f"INPUT.SIZE: {tuple(size)} does not fit {self.cfg.MODEL.BACKBONE.NAME}, which "
                f"takes ({expected}, {expected})"
            )

    def _build_optimiser(self) -> None:
        rates = {"prompt": self.options.PROMPT_LR, "visual_affine": self.options.VISUAL_LR}
        tuned, groups = {}, []
        for part, parameters in self.groups.items():
            rate = rates.get(part)
            rate = self.cfg.OPTIM.LR if rate is None else rate
            groups.append({"params": list(parameters.values()), "lr": rate})
            tuned.update(parameters)
        module = as_module(tuned).requires_grad_(True)
        self.optim = build_optimizer(module, self.cfg.OPTIM, param_groups=groups)
        if self.options.SCHEDULE == "iteration":
            steps = self.cfg.OPTIM.MAX_EPOCH * len(self.train_loader_x)
            self.sched = CosineAnnealingLR(self.optim, T_max=steps)
        else:
            self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model(MODEL, module, self.optim, self.sched)

    # training

    def logits(self, images: Tensor) -> Tensor:
        """Scaled logits (batch, K) in fp32, with gradient to what is tuned."""
        return self.model.logit_scale * self.model(images.to(self.device)).float()

    def forward_backward(self, batch: dict) -> dict[str, float]:
        with torch.autocast(self.device.type, enabled=self.scaler is not None):
            losses = self.loss(batch)
        if self.scaler is None:
            self.model_backward_and_update(losses["loss"])
        else:
            self.model_zero_grad()
            self.detect_anomaly(losses["loss"])
            self.scaler.scale(losses["loss"]).backward()
            self.scaler.step(self.optim)
            self.scaler.update()
        if self.options.SCHEDULE == "iteration" or self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {name: value.item() for name, value in losses.items()}

    def train(self) -> None:
        if self.groups:
            super().train()
        else:
            self.before_train()
            self.evaluations.write_record()

    def before_train(self) -> None:
        zero_shot = self.evaluations.run(epoch=0)["unlabelled"]
        if self.groups:
            self.prepare(zero_shot)
            super().before_train()  # resumes, if asked; hence after the zero-shot model was used
            self.evaluations.resume(self.start_epoch)

    def run_epoch(self) -> None:
        start = time.perf_counter()
        super().run_epoch()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.evaluations.count_training(
            time.perf_counter() - start, len(self.train_loader_x.dataset)
        )

    def after_epoch(self) -> None:
        done = self.epoch + 1
        if self.options.EVAL_FREQ > 0 and done % self.options.EVAL_FREQ == 0:
            if done < self.max_epoch:
                self.evaluations.run(epoch=done)
        super().after_epoch()
        if self.cfg.TRAIN.CHECKPOINT_FREQ <= 0 and done < self.max_epoch:
            self.save_model(self.epoch, self.output_dir)
            Path(self.output_dir, MODEL, f"model.pth.tar-{done - 1}").unlink(missing_ok=True)

    def after_train(self) -> None:
        super().after_train()
        Path(self.output_dir, MODEL, f"model.pth.tar-{self.max_epoch - 1}").unlink(missing_ok=True)
        self.evaluations.write_record()

    @torch.no_grad()
    def test(self, split=None) -> float:
        """Evaluate both sets; returns the accuracy on known test images."""
        self.evaluations.run(epoch=self.max_epoch)
        return self.evaluations.history[-1]["test"]["accuracy"]
