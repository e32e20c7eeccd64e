"""The precision that weights and arithmetic have: half or full, and TF32 in between.

TF32 rounds the inputs of an fp32 product to 10 bits of mantissa, as many as half precision has, on
NVIDIA GPUs since Ampere. torch allows it in convolutions and not in matrix products.
"""

import torch

PRECISIONS = ("fp16", "fp32", "amp")


def resolve_precision(precision: str, device: torch.device) -> str:
    """The precision that `device` can run; half precision on a CPU becomes fp32, and is said."""
    if precision != "fp32" and device.type == "cpu":
        print(f"Precision: {precision} needs CUDA, fp32 is used on the CPU")
        return "fp32"
    return precision


def set_tf32(allowed: bool | None) -> None:
    """Allow TF32 on CUDA, or forbid it; None leaves it as torch has it. Asks CUDA nothing."""
    if allowed is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed


def tf32(allowed: bool | None) -> str:
    """What `set_tf32` comes to: "everywhere", "nowhere", "convolutions" or "matrix products"."""
    products, convolutions = allowed, allowed
    if allowed is None:
        products = torch.backends.cuda.matmul.allow_tf32
        convolutions = torch.backends.cudnn.allow_tf32
    if products == convolutions:
        return "everywhere" if products else "nowhere"
    return "matrix products" if products else "convolutions"
