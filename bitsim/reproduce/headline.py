"""The headline of BitFusion (ISCA 2018): speed and energy over Eyeriss by network, as published and made even.

Held: the published figures to 1e-6.  Reported: what they become when something uneven is made even.

Assumptions
    - Both sides are closed-form models: BitFusion's own (bitfusion_isca18), and the energy-minimising
      row-stationary blocking (eyeriss_blocking).  Cycles are of the same length on both.
    - VGG-7 and ResNet-18 have no published Eyeriss rows.  Their convolutions are blocked anew, ResNet-18 at its
      ordinary width; what is left to their published cycles and energy (2.0 % and 0.7 %: pooling and
      classifiers) is shared among the units as in the published pooling rows of the other networks.
    - Pooling rows have no dimensions: where the array or the port changes they keep their units, and
      their cycles grow with the PEs they lose.
    - An 8-bit Eyeriss does the same accesses on words of half the width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bitsim.analytical.bitfusion_isca18 import Row, layer
from bitsim.analytical.eyeriss_blocking import best_blocking
from bitsim.analytical.isca18_prices import DRAM_NJ_PER_BIT
from bitsim.reproduce.published_rows import Difference, shipped

# Eyeriss in the paper's comparison: 3.2 pJ a unit (a MAC), DRAM at 0.15 of its 200 units a word of 16 bits.
EYERISS_UNIT_PJ, EYERISS_DRAM_PJ_PER_BIT = 3.2, 6.0
DRAM_UNITS_PER_WORD, WORD_BITS = 200, 16
SYNTHESISED_MAC_PJ = {16: 0.6027, 8: 0.2030}  # logic_synthesis_45nm.csv
ARRAY, AREA_ARRAY = (16, 16), (12, 14)  # PEs that were run, and PEs whose area was compared
REGISTER_WORDS, BUFFER_WORDS = 256, 65536
PORT_BITS_PER_CYCLE = 192
AREA_MM2 = {"bitfusion": 2.14, "eyeriss": 5.87}  # as published
ON_CHIP = ("alu_units", "rf_units", "noc_units", "glb_units")
UNITS = (*ON_CHIP, "dram_units")
WIDE_NETWORKS = ("AlexNet", "RESNET-18")
CLASSES_AND_COLOURS = (3, 1000)  # channel counts that are not a choice of width
# Shapes of networks without published Eyeriss rows that BitFusion's rows do not say: (in, out): (in, kernel).
MAPS_BEFORE_CLASSIFIER = {(8192, 1024): (512, 4)}


@dataclass(frozen=True)
class Side:
    """What one network takes on one machine: cycles, energy on chip at 1 pJ a unit or in pJ, DRAM bits."""

    cycles: int
    on_chip_pj: float
    dram_bits: float


@dataclass(frozen=True)
class EyerissLayer:
    """One row of Eyeriss.  shape: (in, out channels, kernel, output side, stride); None where a row has none."""

    shape: tuple[int, int, int, int, int] | None
    batch: int
    cycles: int
    units: dict[str, float]

    def on(self, array: tuple[int, int]) -> EyerissLayer:
        """The same layer on another array."""
        if self.shape is None:
            return replace(self, cycles=-(-self.cycles * ARRAY[0] * ARRAY[1] // (array[0] * array[1])))
        return blocked(self.shape, self.batch, array)

    def dram_bits(self, word_bits: int = WORD_BITS) -> float:
        """Bits to and from memory."""
        return self.units["dram_units"] / DRAM_UNITS_PER_WORD * word_bits


def blocked(shape: tuple[int, int, int, int, int], batch: int, array: tuple[int, int]) -> EyerissLayer:
    """A convolution as the published blocking runs it."""
    found = best_blocking(*shape, batch, *array, REGISTER_WORDS, BUFFER_WORDS)
    return EyerissLayer(shape, batch, found.cycles, {name: float(getattr(found, name)) for name in UNITS})


@dataclass(frozen=True)
class Network:
    """One network of the headline: BitFusion's rows with their values, Eyeriss's layers, the published ratios."""

    name: str
    rows: list[Row]
    values: list[dict[str, int | float]]
    eyeriss: list[EyerissLayer]
    published_speedup: float
    published_energy_ratio: float

    @property
    def speedup(self) -> float:
        """Eyeriss cycles over BitFusion cycles, as published."""
        return self.even(Choice())[0]

    @property
    def energy_ratio(self) -> float:
        """Eyeriss energy over BitFusion energy, as published."""
        return self.even(Choice())[1]

    def even(self, choice: Choice) -> tuple[float, float]:
        """(speed, energy) of BitFusion over Eyeriss under `choice`."""
        values = narrow(self.name, self.rows) if choice.same_width and self.name in WIDE_NETWORKS else self.values
        cycles = sum(v["cycles"] for v in values)
        dram_bits = sum(v["dram_read_bits"] + v["dram_write_bits"] for v in values)
        bitfusion_pj = sum(v["total_nj"] for v in values) * 1e3
        if choice.dram_pj_per_bit is not None:
            bitfusion_pj += dram_bits * (choice.dram_pj_per_bit - DRAM_NJ_PER_BIT * 1e3)
        layers = [one.on(choice.array) for one in self.eyeriss] if choice.array != ARRAY else self.eyeriss
        eyeriss_cycles = 0
        eyeriss_pj = 0.0
        dram_pj = EYERISS_DRAM_PJ_PER_BIT if choice.dram_pj_per_bit is None else choice.dram_pj_per_bit
        for one in layers:
            bits = one.dram_bits(choice.word_bits)
            stalled = math.ceil(bits / PORT_BITS_PER_CYCLE) if choice.dram_stalls else 0
            eyeriss_cycles += max(one.cycles, stalled)
            eyeriss_pj += choice.unit_pj * sum(one.units[name] for name in ON_CHIP) + dram_pj * bits
        speed = eyeriss_cycles / cycles
        if choice.per_area:
            speed *= AREA_MM2["eyeriss"] / AREA_MM2["bitfusion"]
        return speed, eyeriss_pj / bitfusion_pj


@dataclass(frozen=True)
class Choice:
    """What is made even; the defaults are as published.

    dram_pj_per_bit: one price for both, None for 15 and 6; unit_pj: of Eyeriss's units; word_bits: of Eyeriss.
    """

    same_width: bool = False
    dram_pj_per_bit: float | None = None
    unit_pj: float = EYERISS_UNIT_PJ
    array: tuple[int, int] = ARRAY
    dram_stalls: bool = False
    word_bits: int = WORD_BITS
    per_area: bool = False


def narrow(network: str, rows: Iterable[Row]) -> list[dict[str, int | float]]:
    """BitFusion's rows with half of every channel count: the width Eyeriss ran."""
    found = []
    for row in rows:
        channels = [c if c in CLASSES_AND_COLOURS else c // 2 for c in (row.in_channels, row.out_channels)]
        found.append(layer(replace(row, in_channels=channels[0], out_channels=channels[1])))
    return found


def networks(names: list[str], rows: list[Row], values: list[dict[str, int | float]]) -> list[Network]:
    """The eight networks.  names: network of each row; values: of bitfusion_isca18.layer."""
    published: dict[str, list[EyerissLayer]] = {}
    for cells in shipped("eyeriss_256pe_layers.csv"):
        dimensions = [cells[n] for n in ("in_channels", "out_channels", "kernel", "out_size", "stride")]
        shape = tuple(int(d) for d in dimensions) if all(dimensions) else None
        units = {name: float(cells[name]) for name in UNITS}
        one = EyerissLayer(shape, int(cells["batch"]), int(cells["cycles"]), units)  # type: ignore[arg-type]
        published.setdefault(cells["network"], []).append(one)
    pooling = [one for layers in published.values() for one in layers if one.shape is None]
    listed = []
    for cells in shipped("bitfusion_headline.csv"):
        name = cells["network"]
        if name == "geomean":
            continue
        mine = [(row, v) for network, row, v in zip(names, rows, values, strict=True) if network == name]
        own, own_values = [row for row, _ in mine], [v for _, v in mine]
        layers = published.get(name)
        if layers is None:
            energy_pj = float(cells["energy_ratio"]) * sum(v["total_nj"] for v in own_values) * 1e3
            layers = _unpublished(name, own, int(cells["eyeriss_cycles_batch16"]), energy_pj, pooling)
        ratios = float(cells["speedup"]), float(cells["energy_ratio"])
        listed.append(Network(name, own, own_values, layers, *ratios))
    return listed


def _unpublished(
    name: str, rows: list[Row], cycles: int, energy_pj: float, pooling: list[EyerissLayer]
) -> list[EyerissLayer]:
    """Convolutions of BitFusion's rows, blocked anew, and the rest as one layer without dimensions."""
    layers = []
    for row in rows:
        channels = [row.in_channels, row.out_channels]
        if name in WIDE_NETWORKS:
            channels = [c if c in CLASSES_AND_COLOURS else c // 2 for c in channels]
        inputs, kernel = MAPS_BEFORE_CLASSIFIER.get((channels[0], channels[1]), (channels[0], row.kernel))
        layers.append(blocked((inputs, channels[1], kernel, row.out_size, row.stride), row.batch, ARRAY))

    def price(units: dict[str, float]) -> float:
        dram = units["dram_units"] / DRAM_UNITS_PER_WORD * WORD_BITS * EYERISS_DRAM_PJ_PER_BIT
        return EYERISS_UNIT_PJ * sum(units[n] for n in ON_CHIP) + dram

    mix = {n: sum(one.units[n] for one in pooling) for n in UNITS}
    left_pj = energy_pj - sum(price(one.units) for one in layers)
    left = {n: mix[n] * left_pj / price(mix) for n in UNITS}
    return [*layers, EyerissLayer(None, 16, cycles - sum(one.cycles for one in layers), left)]


@dataclass(frozen=True)
class Even:
    """The headline under one choice: ratios by network, and their geometric means."""

    what: str
    speedups: list[float]
    energy_ratios: list[float]

    @property
    def speedup(self) -> float:
        """Geometric mean of the speeds."""
        return geometric_mean(self.speedups)

    @property
    def energy_ratio(self) -> float:
        """Geometric mean of the energy ratios."""
        return geometric_mean(self.energy_ratios)


MAC = SYNTHESISED_MAC_PJ[16]
CHOICES = {
    "as published": Choice(),
    "AlexNet and ResNet-18 as wide on BitFusion as on Eyeriss": Choice(same_width=True),
    "DRAM at 6 pJ a bit for both (published: 15 and 6)": Choice(dram_pj_per_bit=6.0),
    "DRAM at 15 pJ a bit for both": Choice(dram_pj_per_bit=15.0),
    "DRAM at 40 pJ a bit for both": Choice(dram_pj_per_bit=40.0),
    f"Eyeriss's MAC at its synthesised {MAC} pJ (published: 3.2)": Choice(unit_pj=MAC),
    "the 168 PEs of the area compared (published: 256 run)": Choice(array=AREA_ARRAY),
    "DRAM stalls on Eyeriss too, 192 bits a cycle": Choice(dram_stalls=True),
    "speed per mm² (2.14 against 5.87 mm²)": Choice(per_area=True),
    f"DRAM at 15 pJ for both, MAC at {MAC} pJ": Choice(dram_pj_per_bit=15.0, unit_pj=MAC),
    "DRAM at 15 pJ for both, an 8-bit Eyeriss at its synthesised price": Choice(
        dram_pj_per_bit=15.0, unit_pj=SYNTHESISED_MAC_PJ[8], word_bits=8
    ),
    "all together: width, DRAM 15 pJ, MAC, 168 PEs, DRAM stalls": Choice(
        same_width=True, dram_pj_per_bit=15.0, unit_pj=MAC, array=AREA_ARRAY, dram_stalls=True
    ),
    "all together, per mm²": Choice(
        same_width=True, dram_pj_per_bit=15.0, unit_pj=MAC, array=AREA_ARRAY, dram_stalls=True, per_area=True
    ),
}


def made_even(listed: list[Network]) -> list[Even]:
    """Every choice of CHOICES on all networks.  Reported, not held."""
    found = []
    for what, choice in CHOICES.items():
        ratios = [network.even(choice) for network in listed]
        found.append(Even(what, [speed for speed, _ in ratios], [energy for _, energy in ratios]))
    return found


def headline_differences(listed: list[Network]) -> list[Difference]:
    """Networks and means that are more than 1e-6 off the published headline."""
    found = []
    means = next(c for c in shipped("bitfusion_headline.csv") if c["network"] == "geomean")
    for column, ours, published in (
        ("speedup", [n.speedup for n in listed], [n.published_speedup for n in listed]),
        ("energy_ratio", [n.energy_ratio for n in listed], [n.published_energy_ratio for n in listed]),
    ):
        values = [*zip([n.name for n in listed], ours, published, strict=True)]
        values.append(("geomean", geometric_mean(ours), float(means[column])))
        found += [Difference(n, column, a, b) for n, a, b in values if not abs(a - b) <= 1e-6 * b]
    return found


def geometric_mean(values: list[float]) -> float:
    """Geometric mean of positive values."""
    return math.exp(sum(map(math.log, values)) / len(values))
