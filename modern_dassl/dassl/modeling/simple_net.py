"""SimpleNet: a backbone, an optional head, and a linear classifier."""

from dassl.modeling.backbone import build_backbone
from dassl.modeling.head import build_head
from dassl.utils import ConfigValueError
from torch import nn


class SimpleNet(nn.Module):
    """The network of MODEL.BACKBONE and MODEL.HEAD; a classifier follows if num_classes > 0.

    cfg: of the run, for VERBOSE. model_cfg: its node MODEL. kwargs: for the backbone and the head.

    Raise ConfigValueError if the backbone is not registered or has no `out_features`.
    """

    def __init__(self, cfg, model_cfg, num_classes: int, **kwargs):
        super().__init__()
        options = model_cfg.BACKBONE
        self.backbone = build_backbone(
            options.NAME, verbose=cfg.VERBOSE, pretrained=options.PRETRAINED, **kwargs
        )
        self._fdim = getattr(self.backbone, "out_features", None)
        if self._fdim is None:
            raise ConfigValueError(
                f"backbone {options.NAME!r} has no out_features, so no layer can follow it"
            )
        self.head = self._head(cfg, model_cfg.HEAD, **kwargs)
        if self.head is not None:
            self._fdim = self.head.out_features
        self.classifier = nn.Linear(self._fdim, num_classes) if num_classes > 0 else None

    def _head(self, cfg, options, **kwargs):
        if not options.NAME or not options.HIDDEN_LAYERS:
            return None
        return build_head(
            options.NAME,
            verbose=cfg.VERBOSE,
            in_features=self._fdim,
            hidden_layers=options.HIDDEN_LAYERS,
            activation=options.ACTIVATION,
            bn=options.BN,
            dropout=options.DROPOUT,
            **kwargs,
        )

    @property
    def fdim(self) -> int:
        """The number of features before the classifier."""
        return self._fdim

    def forward(self, x, return_feature: bool = False):
        """Return logits, or features if there is no classifier; with `return_feature` both."""
        features = self.backbone(x)
        if self.head is not None:
            features = self.head(features)
        if self.classifier is None:
            return features
        logits = self.classifier(features)
        return (logits, features) if return_feature else logits
