"""The base class of all methods: model, precision, training step, evaluation and record.

A method defines its `defaults`, `trainable()`, `prepare()` (computed once, from the zero-shot
model) and `loss(batch)`, whose entry "loss" is minimised; its other entries are logged. Labels and
paths are hidden from unsupervised methods: their batches, loaders and `dm.dataset` hold neither
(ueo/images/hidden_labels.py).

Under torchrun each process loads its share of a batch's images. Labels, indices and the rows that
`features`, `cosines` and `logits` return are those of the whole batch, so a loss is written as for
a single process.
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
from ueo.clip.tuning import as_module, check_tuned, parse_parts, select, summary, untuned_adapter
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

    reads_labels = False  # True: an oracle, marked in records and tables; see `true_labels`
    gathers_batches = True  # under torchrun, losses see the rows of all processes
    model_class = PromptedCLIP
    _whole = WholeBatch()  # how the training batch is gathered; here: a single process
    deterministic = False  # True: every seed gives the same result
    bound_to_classes = False  # True: what is learnt fits this list of classes only
    capturable = False  # True: `loss` keeps no state and draws on the device alone (captured.py)
    captured: CapturedStep | None = None
    training_free = False  # True: no step is taken, `prepare` does everything
    input_files: tuple[str, ...] = ()  # options that name files or folders the result depends on
    defaults = {
        "N_CTX": Option(4, low=1, high=75),  # context vectors when CTX_INIT is empty
        "CTX_INIT": CONTEXT,  # initial words; "template": the data set's; "": random vectors
        "CSC": False,  # class-specific context
        "CLASS_TOKEN_POSITION": Option("end", choices=POSITIONS),
        "PREC": Option("fp16", choices=PRECISIONS),  # fp16: as released; fp32 on a CPU
        "ENSEMBLE": Option(1, low=1, high=1000),  # prompts learnt side by side, if CTX_INIT is ""
        "CTX_FP32": False,  # keep the context in fp32 although weights are fp16
        "FAST": True,  # skip unused computation in both towers; False: as released, for checks
        "GRAPH": True,  # launch each step as one CUDA graph where possible (docs/speed.md)
        "TUNE": Option("both", check=parse_parts),  # parts joined by "+" (ueo/clip/tuning.py)
        "N_VISUAL_CTX": Option(8, low=1, high=1000),  # tokens of a visual prompt
        "PROMPT_LR": Option(None, kind=float, low=0),  # None: OPTIM.LR
        "VISUAL_LR": Option(None, kind=float, low=0),  # None: OPTIM.LR
        "SCHEDULE": Option("iteration", choices=SCHEDULES),
        "DECAY": Option(10.0, low=0),  # "inverse": (1 + DECAY * t / T) ** -0.75 at iteration t of T
        "EVAL_FREQ": Option(10, low=0),  # epochs between evaluations; 0: after the last epoch only
        "SCORE": Option("mcm", choices=(*SCORES, *AGAINST_NAMES)),  # the reported OOD score
    }

    # what a method defines

    def setup(self) -> None:
        """Create what the method needs besides `self.model`, the prompted CLIP: parameters,
        modules, memories. Called once, before `trainable` and `buffers`."""

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        """Return the parameter groups: part -> {name: parameter}. The learning rate of a part, say
        `lora`, is the option LORA_LR; if that is None or not in `defaults`, it is OPTIM.LR."""
        return {} if self.training_free else select(self.model, self.options.TUNE)

    def adapter(self) -> nn.Module:
        """Return the module (image features, class features) -> cosines; CLIP's until `prepare`."""
        return Cosines()

    def prepare(self, zero_shot: Tensor) -> None:
        """Compute once, before the first step, what the method needs of the zero-shot model.

        zero_shot: (images, K), fp32, its unscaled cosines on the unlabelled images, in the order of
        their list and under the test transform.
        """

    def loss(self, batch: dict) -> dict[str, Tensor] | Tensor:
        """Return the loss of a batch, a scalar, or {"loss": that scalar, other names: scalars that
        are logged}. Cross-entropy by default, for methods that train with labels.

        batch: img (own share, 3, height, width), index and label (batch,).
        """
        if not self.uses_labels:
            raise without_loss(type(self).__name__)
        labels = batch["label"].to(self.device)
        return {"loss": F.cross_entropy(self.logits(batch["img"]), labels)}

    def buffers(self) -> dict[str, Tensor]:
        """Return what checkpoints keep besides tuned parameters; by default the adapter's state."""
        return untuned_adapter(self.model, self.groups)

    # what the engine calls

    def check_cfg(self, cfg) -> None:
        self.options = options_of(cfg, type(self))
        check_trainer(type(self).__name__, cfg, self.options)

    def build_network(self, load: Callable = load_clip) -> None:
        """Build the model with zero-shot weights and its parameter groups, as prediction needs.

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
        self.notes: dict = {}  # facts about the run that a method adds to the record
        self.setup()
        self.load_start()
        self.groups = self.trainable()
        check_groups(type(self).__name__, self.groups)

    def build_model(self) -> None:
        self.build_network()
        if self.groups and not self.uses_labels and self._has_no_loss():
            raise without_loss(type(self).__name__)
        print(summary(self.groups, self.model))
        self.scaler = LossScaler() if self.precision == "amp" else None
        if self.groups:
            self._build_optimiser()
        elif self.buffers():
            self.register_model(MODEL, self.saved_state())
        self.evaluations = self.make_evaluations()
        self.passes = self.evaluations.passes

    def saved_state(self) -> nn.Module:
        """Return what checkpoints hold, the tuned parameters and the buffers; memory is shared."""
        tuned = {name: p for group in self.groups.values() for name, p in group.items()}
        return as_module(tuned, self.buffers())

    def choose_precision(self) -> str:
        """Return PREC, or the precision that the device can run instead."""
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
        self._idle = dict(module.named_parameters())  # parameters that never had a gradient
        self.captured = captured_step(self, self._gradients, list(module.parameters()))

    # training

    def true_labels(self) -> Tensor:
        """Return the labels of the unlabelled images, (images,), -1 where there is none. Only for
        ablations: raises ConfigError unless the trainer sets `reads_labels`."""
        if not self.reads_labels:
            raise ConfigError(
                f"{type(self).__name__} reads labels without declaring it: set reads_labels = True"
            )
        return self._truth.labels("unlabelled")

    def features(self, images: Tensor, whole: WholeBatch | None = None) -> Tensor:
        """Return unit image features (batch, embedding), with gradient.

        images: (own share, 3, height, width). whole: from `whole_batch`, needed for images of
        another batch than the training batch.
        """
        return (whole or self._whole).rows(self.model.image_features(images.to(self.device)))

    def cosines(self, images: Tensor) -> Tensor:
        """Return unscaled logits (batch, K) in fp32, with gradient."""
        return self._whole.rows(self.model(images.to(self.device)).float())

    def logits(self, images: Tensor) -> Tensor:
        """Return scaled logits (batch, K) in fp32, with gradient."""
        return self.model.logit_scale * self.cosines(images)

    @staticmethod
    def whole_batch(batch: dict) -> tuple[dict, WholeBatch]:
        """Return (the batch with index and label of all processes, what gathers its other rows)."""
        whole = WholeBatch.of(batch["index"])
        told = {key: whole.rows(batch[key]) for key in ("index", "label") if key in batch}
        return {**batch, **told}, whole

    def forward_backward(self, batch: dict) -> dict[str, Tensor | Real]:
        """Take one step. The losses stay on the device, since the host would wait to read them;
        under amp it waits in each step, because GradScaler reads whether gradients are finite."""
        self.batch_idx = batch.get("number", self.batch_idx)  # shards: may resume within an epoch
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
        """Return the losses of a batch, detached; leave the gradients in `.grad`."""
        with torch.autocast(self.device.type, enabled=self.scaler is not None):
            found = self.loss(batch)
        losses = as_losses(type(self).__name__, found, self.groups)
        self.model_zero_grad()
        loss = losses["loss"]
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        return {n: v.detach() if isinstance(v, Tensor) else v for n, v in losses.items()}
