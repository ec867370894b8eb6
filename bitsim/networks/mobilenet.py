"""MobileNetV2 on ImageNet.

Source: Sandler et al., CVPR 2018, Table 2.  Names as in torchvision.
Assumptions: every inverted residual block is a gate group, those without a shortcut too; trained as the residual
networks are, at FracTrain's ImageNet settings.
"""

from __future__ import annotations

from bitsim.networks.network import Network, conv, linear
from bitsim.networks.resnet import imagenet_network

# Expansion, output channels, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2() -> Network:
    """MobileNetV2 of width 1.0 on 224x224 images of 1,000 classes."""
    layers = [conv("features.0.0", 3, 32, 224, stride=2, needs_dgrad=False)]
    channels, size, index = 32, 112, 1
    for expansion, outputs, blocks, first_stride in STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            name, inner = f"features.{index}", channels * expansion
            parts = [f"{name}.conv.0.0", f"{name}.conv.1.0", f"{name}.conv.2"]
            if expansion == 1:
                parts = ["", f"{name}.conv.0.0", f"{name}.conv.1"]
            else:
                layers.append(conv(parts[0], channels, inner, size, kernel=1, gate_group=name))
            layers.append(conv(parts[1], inner, inner, size, stride=stride, groups=inner, gate_group=name))
            size //= stride
            layers.append(conv(parts[2], inner, outputs, size, kernel=1, gate_group=name))
            channels, index = outputs, index + 1
    layers.append(conv(f"features.{index}.0", channels, 1280, size, kernel=1))
    layers.append(linear("classifier.1", 1280, 1000))
    return imagenet_network("MobileNetV2", layers, "classifier.1")
