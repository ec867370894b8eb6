"""Residual networks for CIFAR and ImageNet.

Sources: He et al., CVPR 2016: depth 6n+2 on CIFAR (Sec. 4.2) and Table 1 for ImageNet; ResNet-164: He et al., ECCV
2016, the bottleneck network of depth 9n+2, stride on its first 1x1 convolution.  Training settings: FracTrain
(NeurIPS 2020, Sec. 4.1).

Assumptions
    - Shortcuts that change shape are 1x1 convolutions, as FracTrain's networks have them (its MAC totals say so).
    - ImageNet bottlenecks have their stride on the 3x3 convolution, as in torchvision.
    - A gate decides over the convolutions of a residual block; its shortcut is not gated.
"""

from __future__ import annotations

from bitsim.networks.network import Network, conv, linear
from bitsim.workload import Layer

# FracTrain, Sec. 4.1: batch 128, 64,000 iterations; 50,000 images an epoch.
CIFAR_BATCH, CIFAR_ITERATIONS, CIFAR_IMAGES = 128, 64_000, 50_000
# FracTrain, Sec. 4.1: batch 256, 90 epochs; 1,281,167 images an epoch.
IMAGENET_BATCH, IMAGENET_EPOCHS, IMAGENET_IMAGES = 256, 90, 1_281_167
# Blocks of the four stages, and whether they are bottlenecks (He et al., CVPR 2016, Table 1).
IMAGENET = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True)}


def cifar_resnet(depth: int) -> Network:
    """ResNet of `depth` layers on 32x32 images of 10 classes; 164 is the bottleneck network."""
    layers = bottleneck_cifar_layers(depth) if depth == 164 else basic_cifar_layers(depth)
    return Network(
        f"ResNet-{depth}",
        "CIFAR-10 shapes",
        tuple(layers),
        frozenset({"fc"}),
        CIFAR_BATCH,
        CIFAR_ITERATIONS,
        -(-CIFAR_IMAGES // CIFAR_BATCH),
        "batch 128 and 64,000 iterations as in FracTrain (NeurIPS 2020)",
        small_images=True,
    )


def basic_cifar_layers(depth: int, image: int = 32, image_channels: int = 3, classes: int = 10) -> list[Layer]:
    """Layers of a ResNet of depth 6n+2: 16, 32 and 64 channels, blocks of two 3x3 convolutions.

    image: pixels a side.  ValueError if the depth is not 6n+2.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth {depth} is not 6n+2")
    layers = [conv("conv1", image_channels, 16, image, needs_dgrad=False)]
    channels, size = 16, image
    for stage, outputs in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 1 and block == 0 else 1
            layers += _basic_block(f"layer{stage}.{block}", channels, outputs, size, stride)
            size, channels = -(-size // stride), outputs
    return [*layers, linear("fc", channels, classes)]


def bottleneck_cifar_layers(depth: int, classes: int = 10) -> list[Layer]:
    """Layers of a ResNet of depth 9n+2: bottlenecks of 16, 32 and 64 channels, four times that between blocks."""
    if depth < 11 or (depth - 2) % 9:
        raise ValueError(f"depth {depth} is not 9n+2")
    layers = [conv("conv1", 3, 16, 32, needs_dgrad=False)]
    channels, size = 16, 32
    for stage, width in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 9):
            stride = 2 if stage > 1 and block == 0 else 1
            layers += _bottleneck(f"layer{stage}.{block}", channels, width, size, stride, stride_first=True)
            size, channels = -(-size // stride), 4 * width
    return [*layers, linear("fc", channels, classes)]


def imagenet_resnet(depth: int) -> Network:
    """ResNet-18, 34 or 50 on 224x224 images of 1,000 classes."""
    blocks, bottleneck = IMAGENET[depth]
    layers = [conv("conv1", 3, 64, 224, kernel=7, stride=2, needs_dgrad=False)]
    channels, size = 64, 56  # after the 3x3 pooling of stride 2
    for stage, count in enumerate(blocks, start=1):
        width = 64 << stage - 1
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            make = _bottleneck if bottleneck else _basic_block
            layers += make(f"layer{stage}.{block}", channels, width, size, stride)
            size, channels = size // stride, width * (4 if bottleneck else 1)
    layers.append(linear("fc", channels, 1000))
    return imagenet_network(f"ResNet-{depth}", layers, "fc")


def imagenet_network(title: str, layers: list[Layer], classifier: str) -> Network:
    """A network at FracTrain's ImageNet settings."""
    per_epoch = -(-IMAGENET_IMAGES // IMAGENET_BATCH)
    return Network(
        title,
        "ImageNet shapes",
        tuple(layers),
        frozenset({classifier}),
        IMAGENET_BATCH,
        IMAGENET_EPOCHS * per_epoch,
        per_epoch,
        "batch 256 and 90 epochs as in FracTrain (NeurIPS 2020)",
    )


def _basic_block(name: str, channels: int, outputs: int, size: int, stride: int) -> list[Layer]:
    layers = [conv(f"{name}.conv1", channels, outputs, size, stride=stride, gate_group=name)]
    if stride > 1 or channels != outputs:
        layers.append(conv(f"{name}.downsample", channels, outputs, size, kernel=1, stride=stride))
    return [*layers, conv(f"{name}.conv2", outputs, outputs, -(-size // stride), gate_group=name)]


def _bottleneck(
    name: str, channels: int, width: int, size: int, stride: int, stride_first: bool = False
) -> list[Layer]:
    first, second = (stride, 1) if stride_first else (1, stride)
    inner, outer = -(-size // first), -(-size // stride)
    layers = [
        conv(f"{name}.conv1", channels, width, size, kernel=1, stride=first, gate_group=name),
        conv(f"{name}.conv2", width, width, inner, stride=second, gate_group=name),
        conv(f"{name}.conv3", width, 4 * width, outer, kernel=1, gate_group=name),
    ]
    if stride > 1 or channels != 4 * width:
        layers.append(conv(f"{name}.downsample", channels, 4 * width, size, kernel=1, stride=stride))
    return layers
