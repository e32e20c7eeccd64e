"""What every method here shares: model, precision, stepping, evaluation and the record.

A method is four things: its `defaults`, `trainable()`, `prepare()` (what it computes once from the
zero-shot model) and `loss(batch)`, whose "loss" is minimised and whose other entries are logged.
What an unsupervised method can reach, its batches, loaders and `dm.dataset`, holds neither labels
nor paths (ueo/images/hidden_labels.py).

Under torchrun a process has its share of a batch's images. Labels and indices are those of the
whole batch, and so are the rows that `features`, `cosines` and `logits` return: a loss is written
as if there were one process.
"""

from collections.abc import Callable
from numbers import Real

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modern_dassl.distributed import WholeBatch
from ueo.clip.adapters import Cosines
from ueo.clip.backbones import load_clip
from ueo.clip.captured import CapturedStep, captured_step
from ueo.clip.model import PromptedCLIP
from ueo.clip.optimisation import SCHEDULES, LossScaler, build_optimiser, build_schedule
from ueo.clip.precision import PRECISIONS, resolve_precision
from ueo.clip.prompts import CONTEXT, POSITIONS, TEMPLATE, build_prompt
from ueo.clip.tuning import as_module, check_tuned, counted, parse_parts, select, untuned_adapter
from ueo.errors import ConfigError
from ueo.runs.checkpoint import MODEL
from ueo.runs.online.trainer import OnlineTrainer
from ueo.scores import AGAINST_NAMES, SCORES
from ueo.settings.config import options_of
from ueo.settings.method_mistakes import as_losses, check_buffers, check_groups, without_loss
from ueo.settings.options import Option
from ueo.settings.refused import check_preprocessing, check_trainer


class CLIPTrainer(OnlineTrainer):
    """Adapts a prompted CLIP to the images of one domain."""

    reads_labels = False  # True: an oracle; its record and tables say so, see `true_labels`
    gathers_batches = True
    model_class = PromptedCLIP
    _whole = WholeBatch()  # of the training batch, as one process has it
    deterministic = False  # True: every seed gives the same result
    bound_to_classes = False  # True: what it learns fits no other list of classes
    capturable = False  # True: the loss keeps nothing from step to step, in Python or new tensors
    captured: CapturedStep | None = None
    training_free = False  # True: no step is taken, `prepare` is all there is
    input_files: tuple[str, ...] = ()  # options that name files or folders the result depends on
    defaults = {
        "N_CTX": Option(4, low=1, high=75),  # context vectors when CTX_INIT is empty
        "CTX_INIT": CONTEXT,  # words that initialise the context; "template": the data set's
        "CSC": False,  # class-specific context
        "CLASS_TOKEN_POSITION": Option("end", choices=POSITIONS),
        "PREC": Option("fp16", choices=PRECISIONS),  # fp16: as released; fp32 on a CPU
        "ENSEMBLE": Option(1, low=1, high=1000),  # prompts side by side, if CTX_INIT is ""
        "CTX_FP32": False,  # keep the context in fp32 beside fp16 weights
        "FAST": True,  # skip unused computation in both towers; False: as released, for checks
        "GRAPH": True,  # launch a step as one CUDA graph, where that can be: docs/speed.md
        "TUNE": Option("both", check=parse_parts),  # parts joined by +: clip/tuning.py
        "N_VISUAL_CTX": Option(8, low=1, high=1000),  # tokens of a visual prompt
        "PROMPT_LR": Option(None, kind=float, low=0),  # None: OPTIM.LR
        "VISUAL_LR": Option(None, kind=float, low=0),  # None: OPTIM.LR
        "SCHEDULE": Option("iteration", choices=SCHEDULES),
        "DECAY": Option(10.0, low=0),  # "inverse": (1 + DECAY * t / T) ** -0.75 at iteration t of T
        "EVAL_FREQ": Option(10, low=0),  # epochs between evaluations; 0: the last one alone
        "SCORE": Option("mcm", choices=(*SCORES, *AGAINST_NAMES)),  # OOD score that is reported
    }

    # what a method defines

    def setup(self) -> None:
        """Make what the method needs beside `self.model`, the prompted CLIP: parameters, modules,
        memories. Called once, before `trainable` and `buffers`."""

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        """Parameter groups: part -> {name: parameter}. The rate of a part `lora` is that of the
        option LORA_LR where `defaults` declares one and it is not None, else OPTIM.LR."""
        return {} if self.training_free else select(self.model, self.options.TUNE)

    def adapter(self) -> nn.Module:
        """(image features, class features) -> cosines; changes nothing until `prepare` fills it."""
        return Cosines()

    def prepare(self, zero_shot: Tensor) -> None:
        """Compute what the method needs once, before any step.

        zero_shot: (images, K), unscaled cosines of the unlabelled images in the order of their
        list, test transform, fp32.
        """

    def loss(self, batch: dict) -> dict[str, Tensor] | Tensor:
        """The loss of a batch: {"loss": what is minimised, further names: what is logged}, scalars;
        or the loss alone. With labels, cross-entropy unless a method defines another.

        batch: img (own share, 3, height, width), index and label (batch,).
        """
        if not self.uses_labels:
            raise without_loss(type(self).__name__)
        labels = batch["label"].to(self.device)
        return {"loss": F.cross_entropy(self.logits(batch["img"]), labels)}

    def buffers(self) -> dict[str, Tensor]:
        """State besides parameters that a resumed run needs, kept with them: the adapter's."""
        return untuned_adapter(self.model, self.groups)

    # what the engine asks for

    def check_cfg(self, cfg) -> None:
        self.options = options_of(cfg, type(self))
        check_trainer(type(self).__name__, cfg, self.options)

    def build_network(self, load: Callable = load_clip) -> None:
        """The model with its zero-shot weights and what is tuned of it: all that predicting needs.

        load: (name, precision, device) -> Backbone.
        """
        cfg, options = self.cfg, self.options
        self.precision = self.choose_precision()
        backbone = load(cfg.MODEL.BACKBONE.NAME, self.precision, self.device)
        check_preprocessing(cfg.INPUT, cfg.MODEL.BACKBONE.NAME, backbone.preprocessing)
        dataset, seed = self.dm.dataset, max(cfg.SEED, 0)
        template = getattr(dataset, "template", TEMPLATE)
        prompt = build_prompt(dataset.classnames, backbone, options, template, seed)
        self.model = self.model_class(backbone, prompt, fast=options.FAST)
        if "visual_prompt" in parse_parts(options.TUNE):
            self.model.add_visual_prompt(options.N_VISUAL_CTX, self._generator())
        self.model.to(self.device).requires_grad_(False)
        self.model.adapter = self.adapter().to(self.device).requires_grad_(False)
        self.notes: dict = {}  # what a method has to say of its run, kept in the record
        self.setup()
        self.load_start()
        self.groups = self.trainable()
        check_groups(type(self).__name__, self.groups)

    def build_model(self) -> None:
        self.build_network()
        if self.groups and not self.uses_labels and self._has_no_loss():
            raise without_loss(type(self).__name__)
        print(counted(self.groups, self.model))
        self.scaler = LossScaler() if self.precision == "amp" else None
        if self.groups:
            self._build_optimiser()
        elif self.buffers():
            self.register_model(MODEL, self.saved_state())
        self.evaluations = self.make_evaluations()
        self.passes = self.evaluations.passes

    def saved_state(self) -> nn.Module:
        """What checkpoints hold: the tuned parameters and the buffers."""
        tuned = {name: p for group in self.groups.values() for name, p in group.items()}
        return as_module(tuned, self.buffers())

    def choose_precision(self) -> str:
        """PREC, or what the device can run instead."""
        return resolve_precision(self.options.PREC, self.device)

    def after_epoch(self) -> None:
        saved = dict(self._models[MODEL].named_buffers())
        check_buffers(type(self).__name__, saved, self.buffers())
        if self.epoch == 0:
            check_tuned(type(self).__name__, self.groups, self._idle)
        if self.scaler is not None:
            self.scaler.tell()
            self.notes["skipped_steps"] = self.scaler.skipped
        super().after_epoch()

    def _has_no_loss(self) -> bool:
        kind = type(self)
        return (kind.loss, kind.forward_backward) == (
            CLIPTrainer.loss, CLIPTrainer.forward_backward)

    def _generator(self, number: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed(max(self.cfg.SEED, 0) + 1000 * number)

    def _build_optimiser(self) -> None:
        module = self.saved_state().requires_grad_(True)
        optim, options = self.cfg.OPTIM, self.options
        self.optim = build_optimiser(module, self.groups, optim, options)
        self.sched = build_schedule(self.optim, optim, options, self.all_steps)
        self.register_model(MODEL, module, self.optim, self.sched)
        self._idle = dict(module.named_parameters())  # those without a gradient so far
        self.captured = captured_step(self, self._gradients, list(module.parameters()))

    # training

    def true_labels(self) -> Tensor:
        """(images,): labels of the unlabelled images, -1 where there is none; for an ablation that
        sets `reads_labels`, no method may do without."""
        if not self.reads_labels:
            raise ConfigError(
                f"{type(self).__name__} asks for labels and does not say so: set reads_labels"
            )
        return self._truth.labels("unlabelled")

    def features(self, images: Tensor, whole: WholeBatch | None = None) -> Tensor:
        """Unit vectors (batch, embedding), with gradient to what is tuned.

        images: (own share, 3, height, width). whole: of the batch they are from, where that is not
        the training batch; see `whole_batch`.
        """
        return (whole or self._whole).rows(self.model.image_features(images.to(self.device)))

    def cosines(self, images: Tensor) -> Tensor:
        """Unscaled logits (batch, K) in fp32, with gradient to what is tuned."""
        return self._whole.rows(self.model(images.to(self.device)).float())

    def logits(self, images: Tensor) -> Tensor:
        """Scaled logits (batch, K) in fp32, with gradient to what is tuned."""
        return self.model.logit_scale * self.cosines(images)

    @staticmethod
    def whole_batch(batch: dict) -> tuple[dict, WholeBatch]:
        """(the batch with index and label of all processes' shares, how rows are put together)."""
        whole = WholeBatch.of(batch["index"])
        told = {key: whole.rows(batch[key]) for key in ("index", "label") if key in batch}
        return {**batch, **told}, whole

    def forward_backward(self, batch: dict) -> dict[str, Tensor | Real]:
        """One step. What the loss returned stays on the device: a read would wait for it. amp waits
        in each step, for GradScaler reads whether a gradient was infinite."""
        self.batch_idx = batch.get("number", self.batch_idx)  # an epoch may begin in its middle
        batch, self._whole = self.whole_batch(batch)
        losses = (self.captured or self._gradients)(batch)
        self._idle = {name: p for name, p in self._idle.items() if p.grad is None}
        self.detect_anomaly(losses["loss"])
        if self.scaler is None:
            self.model_update()
        else:
            self.scaler.step(self.optim)
            self.scaler.update()
        if self.options.SCHEDULE != "epoch" or self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return losses

    def _gradients(self, batch: dict) -> dict[str, Tensor | Real]:
        """The losses of a batch, without gradient; the gradients stand in `.grad`."""
        with torch.autocast(self.device.type, enabled=self.scaler is not None):
            found = self.loss(batch)
        losses = as_losses(type(self).__name__, found, self.groups)
        self.model_zero_grad()
        loss = losses["loss"]
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        return {n: v.detach() if isinstance(v, Tensor) else v for n, v in losses.items()}
