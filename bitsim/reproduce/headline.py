"""The headline of BitFusion (ISCA 2018): speed and energy over Eyeriss by network, as published and made even.

Held: the published figures to 1e-6.  Reported: what they become when something uneven is made even.

Assumptions
    - Both sides are closed-form models: BitFusion's own (bitfusion_isca18), and the energy-minimising
      row-stationary blocking (eyeriss_blocking).  Cycles are of the same length on both.
    - An 8-bit Eyeriss does the same accesses on words of half the width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from bitsim.analytical.bitfusion_isca18 import layer
from bitsim.analytical.isca18_prices import DRAM_NJ_PER_BIT
from bitsim.analytical.isca18_row import Row
from bitsim.reproduce.eyeriss_side import (
    ARRAY,
    ON_CHIP,
    WIDE_NETWORKS,
    WORD_BITS,
    EyerissLayer,
    halved,
    layers_like,
    published_layers,
)
from bitsim.reproduce.published_rows import Difference, shipped
from bitsim.technology import logic

HEADLINE_FILE, MEANS = "bitfusion_headline.csv", "geomean"
CYCLES = {"bitfusion": "bitfusion_cycles_batch16", "eyeriss": "eyeriss_cycles_batch16"}  # columns
# Eyeriss in the paper's comparison: 3.2 pJ a unit (a MAC), DRAM at 0.15 of its 200 units a word of 16 bits.
EYERISS_UNIT_PJ, EYERISS_DRAM_PJ_PER_BIT = 3.2, 6.0
AREA_ARRAY = (12, 14)  # PEs whose area was compared; ARRAY of them were run
PORT_BITS_PER_CYCLE = 192
AREA_MM2 = {"bitfusion": 2.14, "eyeriss": 5.87}  # as published


@dataclass(frozen=True)
class Network:
    """One network of the headline: BitFusion's rows with their values, Eyeriss's layers, the published ratios."""

    name: str
    rows: list[Row]
    values: list[dict[str, int | float]]
    eyeriss: list[EyerissLayer]
    published_cycles: dict[str, int] = field(hash=False)
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
        values = self._values(choice)
        cycles = sum(v["cycles"] for v in values)
        dram_bits = sum(v["dram_read_bits"] + v["dram_write_bits"] for v in values)
        bitfusion_pj = sum(v["total_nj"] for v in values) * 1e3
        if choice.dram_pj_per_bit is not None:
            bitfusion_pj += dram_bits * (choice.dram_pj_per_bit - DRAM_NJ_PER_BIT * 1e3)
        layers = [one for one in self.eyeriss if choice.pooling or not one.pools]
        if choice.array != ARRAY:
            layers = [one.on(choice.array) for one in layers]
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

    def _values(self, choice: Choice) -> list[dict[str, int | float]]:
        if not choice.same_width and choice.bitfusion_bits is None:
            return self.values
        rows = self.narrow if choice.same_width else self.rows
        bits = choice.bitfusion_bits
        return [layer(replace(row, input_bits=bits, weight_bits=bits) if bits else row) for row in rows]

    @property
    def narrow(self) -> list[Row]:
        """BitFusion's rows at the width Eyeriss ran: half of every channel count of the networks that were wide."""
        if self.name not in WIDE_NETWORKS:
            return self.rows
        return [
            replace(row, in_channels=halved(row.in_channels), out_channels=halved(row.out_channels))
            for row in self.rows
        ]


@dataclass(frozen=True)
class Choice:
    """What is made even; the defaults are as published.

    bitfusion_bits: of every layer of BitFusion, None for its own; pooling: whether Eyeriss's counts;
    dram_pj_per_bit: one price for both, None for 15 and 6; unit_pj: of Eyeriss's units; word_bits: of Eyeriss.
    """

    same_width: bool = False
    bitfusion_bits: int | None = None
    pooling: bool = True
    dram_pj_per_bit: float | None = None
    unit_pj: float = EYERISS_UNIT_PJ
    array: tuple[int, int] = ARRAY
    dram_stalls: bool = False
    word_bits: int = WORD_BITS
    per_area: bool = False


def networks(names: list[str], rows: list[Row], values: list[dict[str, int | float]]) -> list[Network]:
    """The eight networks.  names: network of each row; values: of bitfusion_isca18.layer."""
    published = published_layers()
    listed = []
    for cells in shipped(HEADLINE_FILE):
        name = cells["network"]
        if name == MEANS:
            continue
        mine = [(row, v) for network, row, v in zip(names, rows, values, strict=True) if network == name]
        ratios = float(cells["speedup"]), float(cells["energy_ratio"])
        cycles = {side: int(cells[column]) for side, column in CYCLES.items()}
        own = [row for row, _ in mine]
        layers = published.get(name) or layers_like(name, own)
        listed.append(Network(name, own, [v for _, v in mine], layers, cycles, *ratios))
    return listed


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


MAC, MAC_8_BITS = (logic.unit_price(bits, bits).active_pj_per_cycle for bits in (16, 8))
ALL = Choice(same_width=True, pooling=False, dram_pj_per_bit=15.0, unit_pj=MAC, array=AREA_ARRAY, dram_stalls=True)
CHOICES = {
    "as published": Choice(),
    "AlexNet and ResNet-18 as wide on BitFusion as on Eyeriss": Choice(same_width=True),
    "DRAM at 6 pJ a bit for both (published: 15 and 6)": Choice(dram_pj_per_bit=6.0),
    "DRAM at 15 pJ a bit for both": Choice(dram_pj_per_bit=15.0),
    "DRAM at 40 pJ a bit for both": Choice(dram_pj_per_bit=40.0),
    f"Eyeriss's MAC at its synthesised {MAC:.4f} pJ (published: 3.2)": Choice(unit_pj=MAC),
    "the 168 PEs of the area compared (published: 256 run)": Choice(array=AREA_ARRAY),
    "DRAM stalls on Eyeriss too, 192 bits a cycle": Choice(dram_stalls=True),
    "without Eyeriss's pooling (BitFusion ran none)": Choice(pooling=False),
    "every layer at 8 bits on BitFusion": Choice(bitfusion_bits=8),
    "speed per mm² (2.14 against 5.87 mm²)": Choice(per_area=True),
    f"DRAM at 15 pJ for both, MAC at {MAC:.4f} pJ": Choice(dram_pj_per_bit=15.0, unit_pj=MAC),
    "DRAM at 15 pJ for both, an 8-bit Eyeriss at its synthesised price": Choice(
        dram_pj_per_bit=15.0, unit_pj=MAC_8_BITS, word_bits=8
    ),
    "all together: width, DRAM 15 pJ, MAC, 168 PEs, DRAM stalls, no pooling": ALL,
    "all together, per mm²": replace(ALL, per_area=True),
    "all together, every layer at 8 bits on BitFusion": replace(ALL, bitfusion_bits=8),
    "all together, both at 8 bits": replace(ALL, bitfusion_bits=8, word_bits=8, unit_pj=MAC_8_BITS),
}


def made_even(listed: list[Network]) -> list[Even]:
    """Every choice of CHOICES on all networks.  Reported, not held."""
    found = []
    for what, choice in CHOICES.items():
        ratios = [network.even(choice) for network in listed]
        found.append(Even(what, [speed for speed, _ in ratios], [energy for _, energy in ratios]))
    return found


def headline_differences(listed: list[Network]) -> list[Difference]:
    """Cycles of either side that differ; ratios of networks and means more than 1e-6 off the published headline."""
    means = next(c for c in shipped(HEADLINE_FILE) if c["network"] == MEANS)
    found = []
    for network in listed:
        sides = {"bitfusion": sum(int(v["cycles"]) for v in network.values)}
        sides["eyeriss"] = sum(one.cycles for one in network.eyeriss)
        for side, cycles in sides.items():
            if cycles != network.published_cycles[side]:
                found.append(Difference(network.name, CYCLES[side], cycles, network.published_cycles[side]))
    for column, ours, published in (
        ("speedup", [n.speedup for n in listed], [n.published_speedup for n in listed]),
        ("energy_ratio", [n.energy_ratio for n in listed], [n.published_energy_ratio for n in listed]),
    ):
        values = [*zip([n.name for n in listed], ours, published, strict=True)]
        values.append((MEANS, geometric_mean(ours), float(means[column])))
        found += [Difference(n, column, a, b) for n, a, b in values if not abs(a - b) <= 1e-6 * b]
    return found


def geometric_mean(values: list[float]) -> float:
    """Geometric mean of positive values."""
    return math.exp(sum(map(math.log, values)) / len(values))
