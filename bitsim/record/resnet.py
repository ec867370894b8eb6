"""A CIFAR-style residual network of quantised convolutions (He et al., CVPR 2016, Sec. 4.2), with DFQ's gate or not."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from bitsim.record.gate import Gate
from bitsim.record.quantise import QuantisedConv2d
from bitsim.schedules import Bits


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int) -> QuantisedConv2d:
    return QuantisedConv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut; a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(in_channels, out_channels, 3, stride), nn.BatchNorm2d(out_channels)
        self.conv2, self.bn2 = _conv(out_channels, out_channels, 3, 1), nn.BatchNorm2d(out_channels)
        self.downsample = _conv(in_channels, out_channels, 1, stride) if stride > 1 else None

    def forward(self, x: torch.Tensor, share: torch.Tensor | None = None) -> torch.Tensor:
        """(B, C, H, W) to (B, OC, H/stride, W/stride); share (B,): factor of the residual branch."""
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if share is not None:
            out = out * share.view(-1, 1, 1, 1)
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Depth 6n+2, widths 16, 32, 64.  candidates: bits a gate picks from; none: no gate."""

    def __init__(self, depth: int, in_channels: int, classes: int, candidates: tuple[Bits, ...] = ()) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(in_channels, 16, 3, 1), nn.BatchNorm2d(16)
        channels = 16
        for stage, width in enumerate((16, 32, 64), start=1):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(Block(channels, width, 2 if stage > 1 and block == 0 else 1))
                channels = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, classes)
        self.gate = Gate(candidates, [b.conv1.in_channels for b in self.blocks()]) if candidates else None

    def set_widths(self, widths: tuple[int, int, int]) -> None:
        """(activation, weight, gradient) bits of every convolution."""
        for module in self.modules():
            if isinstance(module, QuantisedConv2d):
                module.widths = widths

    def blocks(self) -> list[Block]:
        """The residual blocks, first to last."""
        return [block for stage in (self.layer1, self.layer2, self.layer3) for block in stage]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, classes) logits."""
        out = functional.relu(self.bn1(self.conv1(x)))
        if self.gate is None:
            out = self.layer3(self.layer2(self.layer1(out)))
        else:
            self.gate.start()
            for number, block in enumerate(self.blocks()):
                activation_bits, gradient_bits, share = self.gate(number, out)
                for conv in (block.conv1, block.conv2):
                    conv.widths = activation_bits, self.gate.weight_bits, gradient_bits
                out = block(out, share)
        return self.fc(out.mean(dim=(2, 3)))
