"""The precision of weights and arithmetic: half or full, and TF32 in between.

On NVIDIA GPUs since Ampere, TF32 rounds the inputs of an fp32 product to 10 bits of mantissa, as
many as half precision has. By default torch uses it in convolutions but not in matrix products.
"""

import torch

PRECISIONS = ("fp16", "fp32", "amp")


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return the precision that `device` can run. On a CPU that is fp32, with a printed note."""
    if precision != "fp32" and device.type == "cpu":
        print(f"Precision: {precision} needs CUDA, fp32 is used on the CPU")
        return "fp32"
    return precision


def set_tf32(allowed: bool | None) -> None:
    """Allow or forbid TF32; None keeps torch's setting. Does not initialise CUDA."""
    if allowed is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def tf32(allowed: bool | None) -> str:
    """Return where TF32 is used: "everywhere", "nowhere", "convolutions" or "matrix products"."""
    products, convolutions = allowed, allowed
    if allowed is None:
        products = torch.backends.cuda.matmul.allow_tf32
        convolutions = torch.backends.cudnn.allow_tf32
    if products == convolutions:
        return "everywhere" if products else "nowhere"
    return "matrix products" if products else "convolutions"
