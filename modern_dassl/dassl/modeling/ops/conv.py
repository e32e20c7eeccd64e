"""A convolution whose kernel depends on the image.

Sun et al., Dynamic Domain Generalization, IJCAI 2022.
"""

from dassl.modeling.ops.attention import Attention
from dassl.utils import ConfigValueError
from torch import Tensor, nn


class Conv2dDynamic(nn.Module):
    """A convolution plus four template convolutions, weighted for each image by an Attention.

    Templates: depthwise, 1 x 1, k x 1, 1 x k. kernel_size is odd, padding half of it.
    attention_in_channels: channels of the attention's input; default in_channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        padding: int,
        bias: bool = True,
        squeeze: int | None = None,
        attention_in_channels: int | None = None,
    ):
        super().__init__()
        if kernel_size % 2 == 0 or padding != kernel_size // 2:
            raise ConfigValueError(
                "kernel_size must be odd and padding half of it, rounded down, not "
                f"{kernel_size} and {padding}"
            )

        def conv(size, pad, groups=1):
            return nn.Conv2d(
                in_channels, out_channels, size, stride, pad, groups=groups, bias=bias
            )

        self.conv = conv(kernel_size, padding)
        self.kernel_templates = nn.ModuleDict({
            "conv_nn": conv(kernel_size, padding, min(in_channels, out_channels)),
            "conv_11": conv(1, 0),
            "conv_n1": conv((kernel_size, 1), (padding, 0)),
            "conv_1n": conv((1, kernel_size), (0, padding)),
        })
        self.attention = Attention(attention_in_channels or in_channels, 4, squeeze, bias)

    def forward(self, x: Tensor, attention_x: Tensor | None = None) -> Tensor:
        """attention_x: input of the attention; default x."""
        weights = self.attention(x if attention_x is None else attention_x)
        out = self.conv(x)
        for template, weight in zip(self.kernel_templates.values(), weights.unbind(1), strict=True):
            out = out + template(x) * weight.view(-1, 1, 1, 1)
        return out
