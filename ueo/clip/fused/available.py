"""Whether this project's Triton kernels run here and agree with torch."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ueo.errors import first_line

TOLERANCE = 1e-4  # for fp32 sums of a few hundred numbers; a wrong kernel is far off
CHANNELS = 24  # of the tensors compared: no power of two, so that the last block is partial


def fits(x: Tensor) -> bool:
    """Whether the kernels may process x: it is on a GPU, in half or single precision, and they
    agree with torch there."""
    return x.is_cuda and x.dtype in (torch.float16, torch.float32) and available()


@functools.cache
def available() -> bool:
    """Whether the kernels agree with torch on small tensors, tested once; prints why if not."""
    try:
        worst = differences(torch.device("cuda"))
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # no Triton, no C compiler for it, a GPU that it does not know
        why = first_line(error)
    else:
        name = max(worst, key=lambda name: (math.isnan(worst[name]), worst[name]))
        if worst[name] < TOLERANCE:
            return True
        why = f"{name} differs from torch's by {worst[name]:.1e}"
    print(f"Kernels between convolutions and around attention are torch's, which is slower: {why}")
    return False


def differences(device: torch.device) -> dict[str, float]:
    """Return {operation: largest difference from torch in values and gradients}, in fp32, whatever
    the caller's autograd and autocast modes."""
    plain = torch.autocast(device.type, enabled=False)
    with torch.inference_mode(False), torch.enable_grad(), plain:
        return {name: _difference(*case) for name, case in _cases(device).items()}


def _cases(device: torch.device) -> dict[str, tuple]:
    """Return {operation: (ours, torch's, its inputs, its parameters)}."""
    from ueo.clip.fused import resnet, transformer

    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator).to(device)
        return drawn.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else drawn

    norm, layer = nn.BatchNorm2d(CHANNELS).to(device).eval(), nn.LayerNorm(CHANNELS).to(device)
    for value in (norm.weight, norm.bias, norm.running_mean, layer.weight, layer.bias):
        value.data += draw(CHANNELS) / 4
    image, other, tokens = draw(5, CHANNELS, 6, 6), draw(5, CHANNELS, 6, 6), draw(37, CHANNELS)
    of_norm, of_layer = [norm.weight, norm.bias], [layer.weight, layer.bias]
    return {
        "BatchNorm": (lambda x: resnet.Norm.of(norm, x, None, True),
                      lambda x: F.relu(norm(x)), [image], of_norm),
        "BatchNorm with a residual": (lambda x, y: resnet.Norm.of(norm, x, y, True),
                                      lambda x, y: F.relu(norm(x) + y), [image, other], of_norm),
        "average pooling": (resnet.Pool.apply, lambda x: F.avg_pool2d(x, 2), [image], []),
        "LayerNorm": (lambda x: transformer.Norm.of(layer, x), layer, [tokens], of_layer),
        "QuickGELU": (transformer.QuickGELU.apply, lambda x: x * torch.sigmoid(1.702 * x),
                      [tokens], []),
    }


def _difference(ours, torchs, inputs: list[Tensor], parameters: list[nn.Parameter]) -> float:
    found = []
    for function in (ours, torchs):
        leaves = [x.clone().requires_grad_() for x in inputs]
        for parameter in parameters:
            parameter.grad = None
        out = function(*leaves)
        # not autograd.grad, which a counter of operations around this could not follow
        out.square().mean().backward()
        found.append([out, *(x.grad for x in (*leaves, *parameters))])
    return max((a - b).abs().max().item() for a, b in zip(*found))
