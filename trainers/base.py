"""What every method here shares: model, precision, stepping, evaluation and the record.

A method is four things: its `defaults`, `trainable()`, `prepare()` (what it computes once from the
zero-shot model) and `loss(batch) -> dict`, whose "loss" is minimised and whose other entries are
logged. What an unsupervised method can reach, its batches, loaders and `dm.dataset`, holds neither
labels nor paths (ueo/images/hidden_labels.py).

Under torchrun a process has its share of a batch's images. Labels and indices are those of the
whole batch, and so are the rows that `features`, `cosines` and `logits` return: a loss is written
as if there were one process.
"""

import time
from pathlib import Path

import torch
from dassl.engine import TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from modern_dassl import distributed
from ueo.clip.adapters import Cosines
from ueo.clip.backbones import PRECISIONS, check_epsilon, load_clip, resolve_precision
from ueo.clip.model import PromptedCLIP
from ueo.clip.prompts import POSITIONS, PromptEnsemble, PromptLearner
from ueo.clip.tuning import as_module, parse_parts, select, untuned_adapter
from ueo.errors import ConfigError
from ueo.images.hidden_labels import Truth, Veiled, veil
from ueo.images.loaders import TrainingLoader, loaders
from ueo.images.other_datasets import adopt, check_labelled
from ueo.runs.checkpoint import MODEL, load_tuned
from ueo.runs.current_inputs import method_inputs
from ueo.runs.evaluation import Evaluations
from ueo.scores import SCORES
from ueo.settings.config import options_of
from ueo.settings.options import Option

# cosine to 0 over iterations; by iterations too, see DECAY; Dassl's, by epochs
SCHEDULES = ("iteration", "inverse", "epoch")
TRAINED = "Finish training\nFinished training"  # parsers wait for CoOp's words or for MaPLe's


class CLIPTrainer(TrainerX):
    """Adapts a prompted CLIP to the images of one domain."""

    uses_labels = False  # True: train on labelled images, which are not tested
    reads_labels = False  # True: an oracle; its record and tables say so, see `true_labels`
    gathers_batches = True
    deterministic = False  # True: every seed gives the same result
    bound_to_classes = False  # True: what it learns fits no other list of classes
    epochs_done = 0  # by the model as it is, those of a loaded checkpoint included
    training_free = False  # True: no step is taken, `prepare` is all there is
    input_files: tuple[str, ...] = ()  # options that name files or folders the result depends on
    defaults = {
        "N_CTX": Option(4, low=1, high=75),  # context vectors when CTX_INIT is empty
        "CTX_INIT": "a photo of a",  # words that initialise the context; "template": the data set's
        "CSC": False,  # class-specific context
        "CLASS_TOKEN_POSITION": Option("end", choices=POSITIONS),
        "PREC": Option("fp16", choices=PRECISIONS),  # fp16: as released; fp32 on a CPU
        "ENSEMBLE": Option(1, low=1, high=1000),  # prompts side by side, if CTX_INIT is ""
        "CTX_FP32": False,  # keep the context in fp32 beside fp16 weights
        "FAST": True,  # both towers without work that nobody reads; False: as released, for checks
        "TUNE": Option("both", check=parse_parts),  # parts joined by +: clip/tuning.py
        "N_VISUAL_CTX": Option(8, low=1, high=1000),  # tokens of a visual prompt
        "PROMPT_LR": Option(None, kind=float, low=0),  # None: OPTIM.LR
        "VISUAL_LR": Option(None, kind=float, low=0),  # None: OPTIM.LR
        "SCHEDULE": Option("iteration", choices=SCHEDULES),
        "DECAY": Option(10.0, low=0),  # "inverse": (1 + DECAY * t / T) ** -0.75 at iteration t of T
        "EVAL_FREQ": Option(10, low=0),  # epochs between evaluations; 0: the last one alone
        "SCORE": Option("mcm", choices=SCORES),  # OOD score that the evaluator reports
    }

    # what a method defines

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        """Parameter groups: part -> {name: parameter}."""
        return {} if self.training_free else select(self.model, self.options.TUNE)

    def adapter(self) -> nn.Module:
        """(image features, class features) -> cosines; changes nothing until `prepare` fills it."""
        return Cosines()

    def prepare(self, zero_shot: Tensor) -> None:
        """Compute what the method needs once, before any step.

        zero_shot: (images, K), unscaled cosines of the unlabelled images in the order of their
        list, test transform, fp32.
        """

    def loss(self, batch: dict) -> dict[str, Tensor]:
        """batch: img (own share, 3, height, width), index and label (batch,).  Returns scalars."""
        raise TypeError(f"{type(self).__name__} must define loss(batch)")

    def buffers(self) -> dict[str, Tensor]:
        """State besides parameters that a resumed run needs, kept with them: the adapter's."""
        return untuned_adapter(self.model, self.groups)

    # what the engine asks for

    def check_cfg(self, cfg) -> None:
        name = type(self).__name__
        self.options = options_of(cfg, type(self))
        if cfg.TEST.FINAL_MODEL not in ("last_step", "last_val"):
            raise ConfigError(
                f"TEST.FINAL_MODEL: {name} deploys its last step; choosing an epoch by the labels "
                "of the target is refused"
            )
        if cfg.TEST.NO_TEST or cfg.TEST.SPLIT != "test":
            raise ConfigError(
                f"TEST: {name} always tests the model that it ends with, on the test set; leave "
                "TEST.NO_TEST False and TEST.SPLIT test"
            )
        if cfg.DATALOADER.TRAIN_X.SAMPLER != "RandomSampler":
            raise ConfigError(
                f"DATALOADER.TRAIN_X.SAMPLER: {name} draws its images at random, by RandomSampler "
                f"alone, and by no label or domain; {cfg.DATALOADER.TRAIN_X.SAMPLER!r} is refused"
            )
        if self.options.ENSEMBLE > 1 and self.options.CTX_INIT:
            raise ConfigError(
                f"TRAINER.{name}.ENSEMBLE: {self.options.ENSEMBLE} prompts need a random context "
                "each, set CTX_INIT ''; 1 is no ensemble"
            )

    def build_data_loader(self) -> None:
        super().build_data_loader()
        cfg, dataset = self.cfg, self.dm.dataset
        adopt(dataset, cfg)
        self.inputs = {**dataset.inputs, **method_inputs(cfg)}
        self._truth = Truth(dataset)
        if self.uses_labels:
            check_labelled(type(self).__name__, dataset)
        self.train_loader_x, self.test_loader, self.unlabelled_loader = loaders(
            cfg, dataset, self.uses_labels, self.device
        )
        if not self.uses_labels:
            hidden, training = Veiled(dataset, dataset.train_u), self.train_loader_x
            veil(self, hidden, training, training, self.test_loader)

    def build_model(self) -> None:
        cfg, options = self.cfg, self.options
        self.precision = resolve_precision(options.PREC, self.device)
        clip_model = load_clip(cfg.MODEL.BACKBONE.NAME, self.precision, self.device)
        self._check_resolution(clip_model)
        self.model = PromptedCLIP(clip_model, self._prompt(clip_model), fast=options.FAST)
        if "visual_prompt" in parse_parts(options.TUNE):
            self.model.add_visual_prompt(options.N_VISUAL_CTX, self._generator())
        self.model.to(self.device).requires_grad_(False)
        self.model.adapter = self.adapter().to(self.device).requires_grad_(False)
        self.notes: dict = {}  # what a method has to say of its run, kept in the record
        self.groups = self.trainable()
        self.scaler = torch.amp.GradScaler() if self.precision == "amp" else None
        if self.groups:
            self._build_optimiser()
        elif kept := self.buffers():
            self.register_model(MODEL, as_module({}, kept))
        self.evaluations = Evaluations(self, self._truth)

    def _generator(self, number: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed(max(self.cfg.SEED, 0) + 1000 * number)

    def _prompt(self, clip_model: nn.Module) -> PromptLearner | PromptEnsemble:
        options = self.options
        template = getattr(self.dm.dataset, "template", "a photo of a {}.")
        prompts = [
            PromptLearner(
                self.dm.dataset.classnames,
                clip_model,
                context=template if options.CTX_INIT == "template" else options.CTX_INIT,
                n_ctx=options.N_CTX,
                class_specific=options.CSC,
                position=options.CLASS_TOKEN_POSITION,
                generator=self._generator(number),
                full_precision=options.CTX_FP32,
                whole=not options.FAST,
            )
            for number in range(options.ENSEMBLE)
        ]
        return prompts[0] if len(prompts) == 1 else PromptEnsemble(prompts)

    def _check_resolution(self, clip_model: nn.Module) -> None:
        size, expected = self.cfg.INPUT.SIZE, clip_model.visual.input_resolution
        if tuple(size) != (expected, expected):
            raise ConfigError(
                f"INPUT.SIZE: {tuple(size)} does not fit {self.cfg.MODEL.BACKBONE.NAME}, which "
                f"takes ({expected}, {expected})"
            )

    def _build_optimiser(self) -> None:
        rates = {"prompt": self.options.PROMPT_LR, "visual_affine": self.options.VISUAL_LR,
                 "visual_prompt": self.options.VISUAL_LR}
        tuned, groups = {}, []
        for part, parameters in self.groups.items():
            rate = rates.get(part)
            rate = self.cfg.OPTIM.LR if rate is None else rate
            groups.append({"params": list(parameters.values()), "lr": rate})
            tuned.update(parameters)
        module = as_module(tuned, self.buffers()).requires_grad_(True)
        self.optim = build_optimizer(module, self.cfg.OPTIM, param_groups=groups)
        check_epsilon(self.optim)
        if self.options.SCHEDULE == "iteration":
            self.sched = CosineAnnealingLR(self.optim, T_max=self._steps())
        elif self.options.SCHEDULE == "inverse":
            self.sched = LambdaLR(self.optim, self._inverse_decay)
        else:
            self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model(MODEL, module, self.optim, self.sched)

    def _inverse_decay(self, step: int) -> float:
        return (1 + self.options.DECAY * step / self._steps()) ** -0.75

    def _steps(self) -> int:
        return self.cfg.OPTIM.MAX_EPOCH * len(self.train_loader_x)

    # training

    def train_on(self, chosen: list[int]) -> None:
        """Train on these positions of the unlabelled list alone; to be called in `prepare`."""
        self.train_loader_x = TrainingLoader(
            self.train_loader_x.dataset.only(chosen), self.cfg, self.device
        )
        if self.options.SCHEDULE == "iteration":
            self.sched.T_max = self._steps()

    def true_labels(self) -> Tensor:
        """(images,): labels of the unlabelled images, -1 where there is none; for an ablation that
        sets `reads_labels`, no method may do without."""
        if not self.reads_labels:
            raise TypeError(f"{type(self).__name__} asks for labels and does not say reads_labels")
        return self._truth.labels("unlabelled")

    def features(self, images: Tensor) -> Tensor:
        """Unit vectors (batch, embedding), with gradient to what is tuned."""
        return self._of_batch(self.model.image_features(images.to(self.device)))

    def cosines(self, images: Tensor) -> Tensor:
        """Unscaled logits (batch, K) in fp32, with gradient to what is tuned."""
        return self._of_batch(self.model(images.to(self.device)).float())

    def logits(self, images: Tensor) -> Tensor:
        """Scaled logits (batch, K) in fp32, with gradient to what is tuned."""
        return self.model.logit_scale * self.cosines(images)

    def _of_batch(self, rows: Tensor) -> Tensor:
        """Rows of the whole batch from those of this process's share."""
        return distributed.gather(rows)[self._once] if distributed.launched() else rows

    def _with_labels_of_all(self, batch: dict) -> dict:
        """The batch with index and label of all shares; the image that a process without one was
        given as a double is left out by `_of_batch`."""
        if not distributed.launched():
            return batch
        index, label = (distributed.gather(batch[key]) for key in ("index", "label"))
        seen = index.tolist()
        self._once = [i for i, position in enumerate(seen) if position not in seen[:i]]
        return {**batch, "index": index[self._once], "label": label[self._once]}

    def forward_backward(self, batch: dict) -> dict[str, float]:
        batch = self._with_labels_of_all(batch)
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
        if self.options.SCHEDULE != "epoch" or self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {name: value.item() for name, value in losses.items()}

    def train(self) -> None:
        if self.groups:
            return super().train()
        prepared = bool(self.get_model_names())  # what `prepare` makes is kept, and tested
        if not prepared:
            print(TRAINED)
        self.before_train()
        if prepared:
            self.save_model(self.max_epoch - 1, self.output_dir)
            self.epochs_done = self.max_epoch
            print(TRAINED)
            self.test()
        self.evaluations.write_record()

    def before_train(self) -> None:
        self.prepare(self.evaluations.run(epoch=0)["unlabelled"])
        if self.groups:
            super().before_train()  # resumes, if asked; hence after the zero-shot model was used
            self.evaluations.resume(self.start_epoch)
            self.epochs_done = self.start_epoch

    def run_epoch(self) -> None:
        start = time.perf_counter()
        super().run_epoch()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.evaluations.count_training(
            time.perf_counter() - start, len(self.train_loader_x.dataset)
        )

    def after_epoch(self) -> None:
        done = self.epochs_done = self.epoch + 1
        if self.options.EVAL_FREQ > 0 and done % self.options.EVAL_FREQ == 0:
            if done < self.max_epoch:
                self.evaluations.run(epoch=done)
        super().after_epoch()
        if self.cfg.TRAIN.CHECKPOINT_FREQ <= 0 and done < self.max_epoch:
            self.save_model(self.epoch, self.output_dir)
            Path(self.output_dir, MODEL, f"model.pth.tar-{done - 1}").unlink(missing_ok=True)

    def after_train(self) -> None:
        super().after_train()
        if self.cfg.TRAIN.CHECKPOINT_FREQ <= 0:
            last = Path(self.output_dir, MODEL, f"model.pth.tar-{self.max_epoch - 1}")
            last.unlink(missing_ok=True)
        self.evaluations.write_record()

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """As the engine's; genuine Dassl's cannot read a checkpoint without a validation result.

        Raises CheckpointError for one that is missing, damaged or of another model.
        """
        for name in self.get_model_names() if directory else ():
            self.epochs_done = load_tuned(self._models[name], Path(directory, name), epoch)

    @torch.no_grad()
    def test(self, split=None) -> float:
        """Evaluate both sets; returns the accuracy on known test images."""
        self.evaluations.run(epoch=self.epochs_done, last=True)
        return self.evaluations.history[-1]["test"]["accuracy"]
