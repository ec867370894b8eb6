"""Fake quantisation of activations, weights and gradients in a torch network.

Source: uniform quantisers as in SBM (Banner et al., NeurIPS 2018), which FracTrain trains with:
activations and weights rounded to nearest with a straight-through gradient, gradients rounded
stochastically.  Assumption: per-tensor range, from zero to the maximum for non-negative tensors,
else symmetric.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


def quantise(tensor: torch.Tensor, bits: int, stochastic: bool = False) -> torch.Tensor:
    """`tensor` rounded to `bits` bits of its own range; same shape."""
    unsigned = bool((tensor >= 0).all())
    levels = 2**bits - 1 if unsigned else max(2 ** (bits - 1) - 1, 1)
    scale = tensor.abs().max().clamp_min(1e-12) / levels
    scaled = tensor / scale
    rounded = torch.floor(scaled + torch.rand_like(scaled)) if stochastic else torch.round(scaled)
    return rounded.clamp(-levels, levels) * scale


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, bits: int) -> torch.Tensor:
        return quantise(tensor, bits)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, bits: int) -> torch.Tensor:
        ctx.bits = bits
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return quantise(gradient, ctx.bits, stochastic=True), None


class QuantisedConv2d(nn.Conv2d):
    """A convolution run at `widths` = (activation, weight, gradient) bits; None runs it in float."""

    widths: tuple[int, int, int] | None = None

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
