"""Fake quantisation of activations, weights and gradients in a torch network.

Source: uniform quantisers as in SBM (Banner et al., NeurIPS 2018), which FracTrain trains with:
activations and weights rounded to nearest with a straight-through gradient, gradients rounded
stochastically.

Assumptions
    - Per-tensor range, from zero to the maximum for non-negative tensors, else symmetric; where samples
      have widths of their own, they share the range and differ in their levels.
    - One quantised output gradient serves both backward products.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional

from bitsim.record.ranges import Precision
from bitsim.workload import FLOAT_BITS

# Bits of a whole tensor, or (B,) bits of each sample.
Bits: TypeAlias = int | torch.Tensor


def quantise(tensor: torch.Tensor, bits: Bits, stochastic: bool = False) -> torch.Tensor:
    """`tensor` (B, ...) rounded to `bits` bits of its own range; same shape."""
    unsigned = bool((tensor >= 0).all())
    levels: Any = 2**bits - 1 if unsigned else 2 ** (bits - 1) - 1
    if isinstance(bits, torch.Tensor):
        levels = levels.clamp_min(1).view(-1, *[1] * (tensor.dim() - 1))
    else:
        levels = max(levels, 1)
    scale = tensor.abs().max().clamp_min(1e-12) / levels
    scaled = tensor / scale
    rounded = torch.floor(scaled + torch.rand_like(scaled)) if stochastic else torch.round(scaled)
    return rounded.clamp(-levels, levels) * scale


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, bits: Bits) -> torch.Tensor:
        return quantise(tensor, bits)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, bits: Bits) -> torch.Tensor:
        ctx.bits = bits
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return quantise(gradient, ctx.bits, stochastic=True), None


class QuantisedConv2d(nn.Conv2d):
    """A convolution run at `widths` = (activation, weight, gradient) bits; None runs it in float.

    Activation and gradient bits may be (B,) tensors, one number a sample.
    """

    widths: tuple[Bits, int, Bits] | None = None

    def precision(self) -> Precision:
        """What the last forward ran at, in the form Recorder takes."""
        if self.widths is None:
            return (FLOAT_BITS,) * 3
        activation, weight, gradient = self.widths
        if not isinstance(activation, torch.Tensor) or not isinstance(gradient, torch.Tensor):
            return int(activation), weight, int(gradient)
        pairs = Counter(zip(activation.int().tolist(), gradient.int().tolist(), strict=True))
        return [(count, (a, weight, g)) for (a, g), count in sorted(pairs.items())]

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, OC, OH, OW)."""
        if self.widths is None:
            return super().forward(input)
        activation_bits, weight_bits, gradient_bits = self.widths
        out = functional.conv2d(
            _Forward.apply(input, activation_bits),
            _Forward.apply(self.weight, weight_bits),
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )
        return _Backward.apply(out, gradient_bits)
