"""The chip (Eyeriss, JSSC 2017): active PEs and processing time of AlexNet's layers, and VGG-16 predicted.

Held: active PEs exactly; processing times within 10 %.  Reported: the exact engine at the chip's size, which has
no constant of this file, and VGG-16, of which only the frame rate is known here.

Assumption: a layer takes the longer of its multiplications, stretched by one factor, and its buffer
traffic at one rate.  The two constants are calibrated on the five layers of AlexNet together; nothing is
fitted to a layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.row_stationary import fold_and_replicate
from bitsim.reproduce.eyeriss import TRUNCATED
from bitsim.reproduce.published_rows import Difference, shipped
from bitsim.simulation.cost import CostModel
from bitsim.workload import FORWARD, Layer, Widths

MACHINE = "eyeriss_12x14_108k"
CHIP_ROWS, CHIP_COLS, CHIP_HZ = 12, 14, 200e6
STRETCH, BUFFER_BYTES_PER_CYCLE = 1.13, 15  # calibrated, see above
WORD_BITS = 16
HELD_TIME_ERROR = 0.10
TIME = "processing_latency"  # the metric of the published measurements


@dataclass(frozen=True)
class ChipShape:
    """A square convolution; channels and outputs of one group.

    channel_set, output_set: channels and outputs of one pass of the mapping the chip ran (q·r, p·t).
    """

    groups: int
    channels: int
    outputs: int
    kernel: int
    out_size: int
    stride: int
    channel_set: int
    output_set: int

    @property
    def side(self) -> int:
        """Rows and columns of the input, padding included."""
        return (self.out_size - 1) * self.stride + self.kernel

    def layer(self, name: str) -> Layer:
        """The layer, its padding stored as data."""
        channels, outputs = self.groups * self.channels, self.groups * self.outputs
        kernel, stride = self.kernel, self.stride
        return Layer(name, "conv", self.groups, channels, outputs, self.side, self.side, kernel, kernel, stride, stride)


# JSSC 2017, Tables III to V.
ALEXNET = {
    "CONV1": ChipShape(1, 3, 96, 11, 55, 4, 1, 32),
    "CONV2": ChipShape(2, 48, 128, 5, 27, 1, 2, 16),
    "CONV3": ChipShape(1, 256, 384, 3, 13, 1, 6, 32),
    "CONV4": ChipShape(2, 192, 192, 3, 13, 1, 6, 32),
    "CONV5": ChipShape(2, 192, 128, 3, 13, 1, 6, 32),
}
ALEXNET_BATCH = 4
# VGG-16: channels in and out, output side; 3x3, stride 1; mapped as the chip mapped AlexNet's 3x3 layers.
VGG16 = (
    (3, 64, 224),
    (64, 64, 224),
    (64, 128, 112),
    (128, 128, 112),
    (128, 256, 56),
    (256, 256, 56),
    (256, 256, 56),
    (256, 512, 28),
    (512, 512, 28),
    (512, 512, 28),
    (512, 512, 14),
    (512, 512, 14),
    (512, 512, 14),
)
VGG16_BATCH, VGG16_FRAMES_PER_S = 3, 0.7  # JSSC 2017, abstract: DRAM transfers included


@dataclass(frozen=True)
class ChipLayer:
    """One layer on the chip: by the two constants, by the exact engine, and measured where it was."""

    name: str
    active_pes: int
    milliseconds: float
    bound: str
    exact_ms: float
    published_active_pes: float | None = None
    published_ms: float | None = None

    @property
    def error(self) -> float | None:
        """Relative error of the processing time."""
        return None if self.published_ms is None else self.milliseconds / self.published_ms - 1

    @property
    def exact_error(self) -> float | None:
        """Relative error of the exact engine."""
        return None if self.published_ms is None else self.exact_ms / self.published_ms - 1


def alexnet() -> list[ChipLayer]:
    """AlexNet's layers beside the chip's measurements (JSSC 2017, Table V)."""
    measured = {(c["layer"], c["metric"]): float(c["value"]) for c in shipped("eyeriss_jssc17_alexnet.csv")}
    model = CostModel(load_hardware(MACHINE, TRUNCATED))
    return [
        on_chip(name, shape, ALEXNET_BATCH, model, measured[name, "active_pes"], measured[name, TIME])
        for name, shape in ALEXNET.items()
    ]


def vgg16() -> list[ChipLayer]:
    """VGG-16 with the same constants: a prediction."""
    model = CostModel(load_hardware(MACHINE, TRUNCATED))
    shapes = (ChipShape(1, channels, outputs, 3, size, 1, 6, 32) for channels, outputs, size in VGG16)
    return [on_chip(f"CONV{i}", shape, VGG16_BATCH, model) for i, shape in enumerate(shapes, start=1)]


def on_chip(
    name: str,
    shape: ChipShape,
    batch: int,
    model: CostModel,
    published_active_pes: float | None = None,
    published_ms: float | None = None,
) -> ChipLayer:
    """Processing time of one layer over a batch.  model: of the exact engine."""
    fold = fold_and_replicate(shape.kernel, shape.out_size, CHIP_ROWS, CHIP_COLS)
    active = int(fold.active_pes)
    positions = batch * shape.groups * shape.out_size**2
    macs = positions * shape.outputs * shape.channels * shape.kernel**2
    strips = int(fold.segments)
    rows = strips * ((-(-shape.out_size // strips) - 1) * shape.stride + shape.kernel)
    visits = 2 * -(-shape.channels // min(shape.channel_set, shape.channels)) - 1
    rounds = -(-shape.outputs // shape.output_set) + 1
    words = visits * positions * shape.outputs + rounds * batch * shape.groups * shape.channels * rows * shape.side
    cycles = {"compute": STRETCH * macs / active, "buffer": words * WORD_BITS / 8 / BUFFER_BYTES_PER_CYCLE}
    bound = max(cycles, key=cycles.__getitem__)
    exact = model.pass_cost(shape.layer(name), FORWARD, batch, Widths(*(5 * [WORD_BITS]))).values
    exact_ms = float(exact["cycles"]) / CHIP_HZ * 1e3
    return ChipLayer(name, active, cycles[bound] / CHIP_HZ * 1e3, bound, exact_ms, published_active_pes, published_ms)


def chip_differences(listed: list[ChipLayer]) -> list[Difference]:
    """Active PEs that differ, and processing times more than 10 % off."""
    found = []
    for layer in listed:
        assert layer.published_active_pes is not None and layer.published_ms is not None and layer.error is not None
        if layer.active_pes != layer.published_active_pes:
            found.append(Difference(layer.name, "active_pes", layer.active_pes, layer.published_active_pes))
        if not abs(layer.error) <= HELD_TIME_ERROR:
            found.append(Difference(layer.name, TIME, layer.milliseconds, layer.published_ms))
    return found
