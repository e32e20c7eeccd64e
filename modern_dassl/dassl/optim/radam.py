"""torch's RAdam under the name that callers import."""

import torch


class RAdam(torch.optim.RAdam):
    """torch.optim.RAdam, which always degenerates to SGD; ignores `degenerated_to_sgd`."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, degenerated_to_sgd=True
    ):
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)
