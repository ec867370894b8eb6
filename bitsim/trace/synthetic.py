"""Synthetic traces: shapes of known networks under a published precision ladder, labelled as such.

Run ``python -m bitsim.trace.synthetic FOLDER`` to make the two shipped ones again, inside FOLDER (default: here).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bitsim.trace.reader import Trace
from bitsim.trace.writer import write_trace
from bitsim.workload import FLOAT_BITS, Layer

# FracTrain (NeurIPS 2020): PFQ forward 3/4/6/8 with backward 6/6/8/8; CIFAR-10: batch 128, 64,000 iterations.
PFQ_LADDER = ((3, 3, 6), (4, 4, 6), (6, 6, 8), (8, 8, 8))
CIFAR_BATCH, CIFAR_ITERATIONS = 128, 64_000
# The switching points are not published: quarters of the run.
QUARTERS = (0, 16_000, 32_000, 48_000, 64_000)


def conv(
    name: str,
    in_channels: int,
    out_channels: int,
    size: int,
    kernel: int = 3,
    stride: int = 1,
    needs_dgrad: bool = True,
) -> Layer:
    """A square, same-padded convolution."""
    pad = kernel // 2
    return Layer(
        name,
        "conv",
        1,
        in_channels,
        out_channels,
        size,
        size,
        kernel,
        kernel,
        stride,
        stride,
        pad,
        pad,
        pad,
        pad,
        needs_dgrad="true" if needs_dgrad else "false",
    )


def resnet_cifar_layers(
    depth: int, width: int = 16, classes: int = 10, image: int = 32, image_channels: int = 3
) -> list[Layer]:
    """Layers of a CIFAR ResNet of depth 6n+2 with 1x1 convolutions as projections (He et al., CVPR 2016, Sec. 4.2).

    width: channels of the first stage, doubled in the second and third; image: pixels a side.

    ResNet-38 has 83,280,512 forward MACs an image, ResNet-74 168,215,168.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth {depth} is not 6n+2")
    layers = [conv("conv1", image_channels, width, image, needs_dgrad=False)]
    channels, size = width, image
    for stage in (1, 2, 3):
        outputs = width << stage - 1
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 1 and block == 0 else 1
            name = f"layer{stage}.{block}"
            layers.append(conv(f"{name}.conv1", channels, outputs, size, stride=stride))
            if stride > 1:
                layers.append(conv(f"{name}.downsample", channels, outputs, size, kernel=1, stride=stride))
            size = -(-size // stride)
            layers.append(conv(f"{name}.conv2", outputs, outputs, size))
            channels = outputs
    layers.append(Layer("fc", "linear", 1, channels, classes))
    return layers


def ladder_rows(
    layers: list[Layer], stages: tuple[tuple[int, int, int], ...], edges: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Precision rows: stage i from edges[i] to edges[i+1]; linear layers stay float."""
    rows = []
    for (activation, weight, gradient), start, end in zip(stages, edges[:-1], edges[1:], strict=True):
        for layer in layers:
            widths = (activation, weight, gradient) if layer.kind == "conv" else (FLOAT_BITS,) * 3
            names = ("activation_bits", "weight_bits", "gradient_bits")
            place = {"iteration_start": start, "iteration_end": end, "layer": layer.name}
            rows.append(place | dict(zip(names, widths, strict=True)))
    return rows


def write_resnet38(folder: Path) -> list[Trace]:
    """Write resnet38_cifar_pfq and resnet38_cifar_fw8bw8 into `folder`."""
    layers = resnet_cifar_layers(38)
    run = {
        "schema": 1,
        "name": "",
        "model": "ResNet-38",
        "dataset": "CIFAR-10 shapes",
        "batch": CIFAR_BATCH,
        "iterations": CIFAR_ITERATIONS,
        "synthetic": True,
        "command": "python -m bitsim.trace.synthetic FOLDER",
    }
    shapes = "shapes of ResNet-38 on CIFAR; "
    pfq = {
        "name": "resnet38_cifar_pfq",
        "source": shapes
        + "PFQ ladder forward 3/4/6/8, backward 6/6/8/8 (FracTrain, NeurIPS 2020), "
        + "switched at quarters of the run, not trained",
    }
    static = {"name": "resnet38_cifar_fw8bw8", "source": shapes + "8 bits throughout, not trained"}
    return [
        write_trace(folder / pfq["name"], run | pfq, layers, ladder_rows(layers, PFQ_LADDER, QUARTERS)),
        write_trace(
            folder / static["name"], run | static, layers, ladder_rows(layers, ((8, 8, 8),), (0, CIFAR_ITERATIONS))
        ),
    ]


if __name__ == "__main__":
    for written in write_resnet38(Path(sys.argv[1] if len(sys.argv) > 1 else ".")):
        print(written.path)
