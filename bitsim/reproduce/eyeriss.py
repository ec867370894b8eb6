"""`bitsim reproduce eyeriss`: the published 256-PE rows, the exact engine beside them, and the chip.

Held: every column of every row that is a convolution or fully connected, exactly; active PEs of
the chip exactly; its processing times within 10 %.  Reported: the exact engine, and VGG-16.

Assumption about the chip: a layer takes the longer of its multiplications, stretched by one factor,
and its buffer traffic at one rate.  The two constants are calibrated on the five layers of AlexNet
together; nothing is fitted to a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bitsim.accelerators.eyeriss import fold_and_replicate
from bitsim.accelerators.registry import load_hardware
from bitsim.analytical.eyeriss_blocking import COUNTERS, Blocking, best_blocking
from bitsim.errors import InputError
from bitsim.reproduce.beside import Beside, beside
from bitsim.reproduce.published_rows import Difference, differences, given, raise_faults, shipped, whole_numbers
from bitsim.simulation.cost import CostModel
from bitsim.workload import Widths

LAYERS_FILE = "eyeriss_256pe_layers.csv"
MACHINE = "eyeriss_16x16_128k"
DIMENSIONS = ("in_channels", "out_channels", "kernel", "out_size", "stride", "batch")
MOST = 2**24 - 1  # of any dimension
OPTIONAL = {"array_rows": 16, "array_cols": 16, "register_words": 256, "buffer_words": 65536}

CHIP_ROWS, CHIP_COLS, CHIP_HZ = 12, 14, 200e6  # JSSC 2017
STRETCH, BUFFER_BYTES_PER_CYCLE = 1.13, 15  # calibrated on AlexNet, see above
WORD_BYTES = 2
HELD_TIME_ERROR = 0.10
# JSSC 2017, Tables III to V: groups-wise shape of AlexNet's layers, and the mapping the chip ran (q·r, p·t).
ALEXNET = {
    "CONV1": (3, 96, 11, 55, 4, 1, 32),
    "CONV2": (48, 256, 5, 27, 1, 2, 16),
    "CONV3": (256, 384, 3, 13, 1, 6, 32),
    "CONV4": (192, 384, 3, 13, 1, 6, 32),
    "CONV5": (192, 256, 3, 13, 1, 6, 32),
}
ALEXNET_BATCH = 4
# VGG-16: channels in and out, output side; 3x3, stride 1; run as the chip ran AlexNet's 3x3 layers.
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
VGG16_BATCH = 3


@dataclass(frozen=True)
class Rows:
    """Ours beside the published."""

    names: list[str]
    dimensions: list[dict[str, int]]
    ours: list[Blocking]
    differences: list[Difference]
    pooling: int

    @property
    def exact(self) -> int:
        """Rows without a difference."""
        return len(self.names) - len({d.row for d in self.differences})


def rows(path: Path | None = None) -> Rows:
    """Every non-pooling row of the shipped file, or of a user's file in its format.

    A user's file may have the columns of OPTIONAL; rows without dimensions are pooling and left out.
    """
    listed = given(path, (*DIMENSIONS, "cycles")) if path else [(LAYERS_FILE, c) for c in shipped(LAYERS_FILE)]
    convolutions = [
        (where, cells) for where, cells in listed if any((cells.get(d) or "").strip() for d in DIMENSIONS[:4])
    ]
    least = dict.fromkeys((*DIMENSIONS, *OPTIONAL), 1)
    names: list[str] = []
    dimensions, ours, found, faults = [], [], [], []
    for where, cells in convolutions:
        names.append(" ".join(filter(None, (where if path else "", cells.get("network"), cells.get("layer")))))
        values, wrong = whole_numbers(where, cells, least, MOST, OPTIONAL)
        faults += wrong
        if wrong:
            continue
        try:
            ours.append(best_blocking(**values))
            dimensions.append(values)
            found += differences(names[-1], {c: _number(getattr(ours[-1], c)) for c in COUNTERS}, cells, COUNTERS)
        except InputError as error:
            faults += [fault if fault.startswith(where) else f"{where}: {fault}" for fault in error.faults]
    raise_faults(path or LAYERS_FILE, faults)
    return Rows(names, dimensions, ours, found, len(listed) - len(convolutions))


def _number(value: int | Fraction) -> int | float:
    """An average over folds as published: whole where it is whole."""
    return int(value) if value.denominator == 1 else float(value)


@dataclass(frozen=True)
class ChipLayer:
    """One layer on the chip: ours, and measured where it was."""

    name: str
    active_pes: int
    milliseconds: float
    bound: str
    published_active_pes: int | None = None
    published_ms: float | None = None

    @property
    def error(self) -> float | None:
        """Relative error of the processing time."""
        return None if self.published_ms is None else self.milliseconds / self.published_ms - 1


def chip_layer(
    name: str,
    channels: int,
    outputs: int,
    kernel: int,
    out_size: int,
    stride: int,
    batch: int,
    channel_set: int,
    output_set: int,
) -> ChipLayer:
    """Processing time on the chip; channel_set, output_set: channels and outputs of one pass (q·r, p·t)."""
    fold = fold_and_replicate(kernel, out_size, CHIP_ROWS, CHIP_COLS)
    active = int(fold.active_pes)
    macs = batch * outputs * channels * kernel**2 * out_size**2
    strips = int(fold.segments)
    rows = strips * ((-(-out_size // strips) - 1) * stride + kernel)
    side = (out_size - 1) * stride + kernel
    psums = (2 * -(-channels // min(channel_set, channels)) - 1) * batch * outputs * out_size**2
    inputs = batch * channels * rows * side * (-(-outputs // output_set) + 1)
    cycles = {"compute": STRETCH * macs / active, "buffer": (psums + inputs) * WORD_BYTES / BUFFER_BYTES_PER_CYCLE}
    bound = max(cycles, key=cycles.__getitem__)
    return ChipLayer(name, active, cycles[bound] / CHIP_HZ * 1e3, bound)


def chip() -> list[ChipLayer]:
    """AlexNet's layers beside the chip's measurements (JSSC 2017, Table V)."""
    measured: dict[tuple[str, str], float] = {
        (c["layer"], c["metric"]): float(c["value"]) for c in shipped("eyeriss_jssc17_alexnet.csv")
    }
    listed = []
    for name, (channels, outputs, kernel, size, stride, channel_set, output_set) in ALEXNET.items():
        ours = chip_layer(name, channels, outputs, kernel, size, stride, ALEXNET_BATCH, channel_set, output_set)
        published = (int(measured[name, "active_pes"]), measured[name, "processing_latency"])
        listed.append(ChipLayer(name, ours.active_pes, ours.milliseconds, ours.bound, *published))
    return listed


def chip_differences(listed: list[ChipLayer]) -> list[Difference]:
    """Active PEs that differ, and processing times more than 10 % off."""
    found = []
    for layer in listed:
        assert layer.published_active_pes is not None and layer.published_ms is not None and layer.error is not None
        if layer.active_pes != layer.published_active_pes:
            found.append(Difference(layer.name, "active_pes", layer.active_pes, layer.published_active_pes))
        if not abs(layer.error) <= HELD_TIME_ERROR:
            found.append(Difference(layer.name, "processing_latency", layer.milliseconds, layer.published_ms))
    return found


def vgg16() -> list[ChipLayer]:
    """VGG-16 with the same constants: a prediction, nothing here was measured."""
    return [
        chip_layer(f"CONV{i}", c, m, 3, size, 1, VGG16_BATCH, 6, 32) for i, (c, m, size) in enumerate(VGG16, start=1)
    ]


def exact_beside(found: Rows) -> list[Beside]:
    """The exact engine on every row: its own mapping and memory, psums cut to 16 bits as the published ones."""
    model = CostModel(load_hardware(MACHINE, {"accumulator.bits": 16, "accumulator.policy": "truncate"}))
    listed = []
    for name, d, ours in zip(found.names, found.dimensions, found.ours, strict=True):
        shape = (d["in_channels"], d["out_channels"], d["kernel"], d["out_size"], d["stride"])
        listed.append(beside(name, model, shape, d["batch"], Widths(16, 16, 16, 16, 16), ours.cycles))
    return listed
