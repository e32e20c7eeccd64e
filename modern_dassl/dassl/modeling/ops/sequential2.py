"""A sequence of modules with any number of inputs."""

from torch import nn


class Sequential2(nn.Sequential):
    """nn.Sequential in which the items of a returned tuple are the inputs of the next module."""

    def forward(self, *inputs):
        for module in self:
            inputs = module(*inputs) if isinstance(inputs, tuple) else module(inputs)
        return inputs
