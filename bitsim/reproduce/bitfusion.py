"""`bitsim reproduce bitfusion`: the published rows and headline, computed anew.

Held: every counter of every row exactly, energies to 1e-6, and the headline to 1e-6.  Reported:
the headline with one unevenness of the comparison made even at a time, and how far the analytical
model is from the exact engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from bitsim.accelerators.registry import load_hardware
from bitsim.errors import InputError
from bitsim.reproduce.beside import Beside, beside
from bitsim.reproduce.bitfusion_isca18 import COUNTERS, DRAM_PJ_PER_BIT, ENERGIES, Row, layer
from bitsim.reproduce.published_rows import Difference, differences, given, shipped
from bitsim.simulation.cost import CostModel
from bitsim.workload import Widths

LAYERS_FILE = "bitfusion_isca18_layers.csv"
MACHINE = "bitfusion_16x32_192b"
# Eyeriss in the paper's comparison: 3.2 pJ a MAC, DRAM at 0.15 of its unit cost of 200 a word.
EYERISS_PJ_PER_UNIT, EYERISS_DRAM_SHARE = 3.2, 0.15
DRAM_UNITS_PER_WORD, WORD_BITS = 200, 16
EYERISS_DRAM_PJ_PER_BIT = 6.0  # 3.2 x 0.15 x 200 / 16
SYNTHESISED_INT16_PJ = 0.6027  # logic_synthesis_45nm.csv, 4x4 block of 16/16


@dataclass(frozen=True)
class Rows:
    """Ours beside the published: names, our values, what differs."""

    names: list[str]
    networks: list[str]
    rows: list[Row]
    ours: list[dict[str, int | float]]
    differences: list[Difference]

    @property
    def exact(self) -> int:
        """Rows without a difference."""
        return len(self.names) - len({d.row for d in self.differences})


def rows(path: Path | None = None) -> Rows:
    """Every row of the shipped file, or of a user's file in its format."""
    required = (*Row.__dataclass_fields__, "cycles")
    listed = given(path, required) if path else [(LAYERS_FILE, cells) for cells in shipped(LAYERS_FILE)]
    read: list[Row] = []
    faults: list[str] = []
    for where, cells in listed:
        try:
            read.append(Row.read(cells, where))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults[:20])
    names, ours, found = [], [], []
    for (where, cells), row in zip(listed, read, strict=True):
        name = " ".join(filter(None, (where if path else "", cells.get("network"), cells.get("layer"))))
        try:
            values = layer(row)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        names.append(name)
        ours.append(values)
        found += differences(name, values, cells, COUNTERS, ENERGIES)
    return Rows(names, [cells.get("network", "") for _, cells in listed], read, ours, found)


@dataclass(frozen=True)
class Headline:
    """One network: BitFusion ours, Eyeriss published; energies in nJ."""

    network: str
    bitfusion_cycles: int
    eyeriss_cycles: int
    bitfusion_nj: float
    bitfusion_dram_bits: int
    eyeriss_nj: float
    eyeriss_units: dict[str, float] | None
    published_speedup: float
    published_energy_ratio: float

    @property
    def speedup(self) -> float:
        """Eyeriss cycles over BitFusion cycles."""
        return self.eyeriss_cycles / self.bitfusion_cycles

    @property
    def energy_ratio(self) -> float:
        """Eyeriss energy over BitFusion energy."""
        return self.eyeriss_nj / self.bitfusion_nj

    def at(self, dram_pj_per_bit: float, eyeriss_unit_pj: float | None = None) -> float | None:
        """Energy ratio with both at one DRAM price, and Eyeriss's MAC price if given.

        None without published Eyeriss rows, unless the prices are those its total was made with.
        """
        bitfusion = self.bitfusion_nj + self.bitfusion_dram_bits * (dram_pj_per_bit - DRAM_PJ_PER_BIT) / 1e3
        if dram_pj_per_bit == EYERISS_DRAM_PJ_PER_BIT and eyeriss_unit_pj is None:
            return self.eyeriss_nj / bitfusion
        if self.eyeriss_units is None:
            return None
        unit = EYERISS_PJ_PER_UNIT if eyeriss_unit_pj is None else eyeriss_unit_pj
        dram_bits = self.eyeriss_units["dram_units"] / DRAM_UNITS_PER_WORD * WORD_BITS
        on_chip = sum(self.eyeriss_units[name] for name in ("alu_units", "rf_units", "noc_units", "glb_units"))
        return (unit * on_chip + dram_pj_per_bit * dram_bits) / 1e3 / bitfusion


def headline(found: Rows, published: list[Headline] | None = None) -> list[Headline]:
    """The eight networks of the paper.

    Two have no published Eyeriss rows: their Eyeriss energy is carried over from the headline
    (with the BitFusion side of `published`, where `found` is not the published rows).
    """
    carried = {row.network: row.eyeriss_nj for row in published or ()}
    eyeriss: dict[str, dict[str, float]] = {}
    for cells in shipped("eyeriss_256pe_layers.csv"):
        into = eyeriss.setdefault(cells["network"], {})
        for name in ("cycles", "alu_units", "rf_units", "noc_units", "glb_units", "dram_units"):
            into[name] = into.get(name, 0.0) + float(cells[name])
    listed = []
    for cells in shipped("bitfusion_headline.csv"):
        name = cells["network"]
        if name == "geomean":
            continue
        mine = [values for network, values in zip(found.networks, found.ours, strict=True) if network == name]
        energy = sum(v["total_nj"] for v in mine)
        units = eyeriss.get(name)
        if units:
            on_chip = sum(units[n] for n in ("alu_units", "rf_units", "noc_units", "glb_units"))
            eyeriss_nj = EYERISS_PJ_PER_UNIT * (on_chip + EYERISS_DRAM_SHARE * units["dram_units"]) / 1e3
        else:
            eyeriss_nj = carried.get(name, float(cells["energy_ratio"]) * energy)
        listed.append(
            Headline(
                name,
                int(sum(v["cycles"] for v in mine)),
                int(cells["eyeriss_cycles_batch16"]),
                energy,
                int(sum(v["dram_read_bits"] + v["dram_write_bits"] for v in mine)),
                eyeriss_nj,
                units,
                float(cells["speedup"]),
                float(cells["energy_ratio"]),
            )
        )
    return listed


WIDE_NETWORKS = ("AlexNet", "RESNET-18")
CLASSES_AND_COLOURS = (3, 1000)  # channel counts that are not a choice of width


def same_width(found: Rows) -> Rows:
    """The rows with AlexNet and ResNet-18 at the width Eyeriss ran them: half of every channel count."""
    halved, ours = [], []
    for network, row, values in zip(found.networks, found.rows, found.ours, strict=True):
        if network in WIDE_NETWORKS:
            channels = [c if c in CLASSES_AND_COLOURS else c // 2 for c in (row.in_channels, row.out_channels)]
            row = replace(row, in_channels=channels[0], out_channels=channels[1])
            values = layer(row)
        halved.append(row)
        ours.append(values)
    return Rows(found.names, found.networks, halved, ours, [])


@dataclass(frozen=True)
class Even:
    """The headline with something made even: geometric means over `networks` networks."""

    what: str
    networks: int
    speedup: float
    energy_ratio: float


def made_even(found: Rows) -> list[Even]:
    """One unevenness at a time, then all together.  Reported, not held.

    Networks without published Eyeriss rows are left out where Eyeriss's own energy moves.
    """
    published = headline(found)
    narrow = headline(same_width(found), published)

    def means(what: str, listed: list[Headline], price: float | None = None, mac_pj: float | None = None) -> Even:
        ratios = [(n.speedup, n.energy_ratio if price is None else n.at(price, mac_pj)) for n in listed]
        known = [(speed, ratio) for speed, ratio in ratios if ratio is not None]
        return Even(what, len(known), *(geometric_mean(list(column)) for column in zip(*known, strict=True)))

    mac = f"Eyeriss's MAC at its synthesised {SYNTHESISED_INT16_PJ} pJ, not {EYERISS_PJ_PER_UNIT}"
    return [
        means("as published", published),
        means("AlexNet and ResNet-18 as wide on BitFusion as on Eyeriss", narrow),
        means("DRAM at 6 pJ a bit for both", published, 6.0),
        means("DRAM at 15 pJ a bit for both", published, 15.0),
        means("DRAM at 40 pJ a bit for both", published, 40.0),
        means(f"DRAM at 15 pJ, {mac}", published, 15.0, SYNTHESISED_INT16_PJ),
        means("all of it: same width, DRAM at 15 pJ, synthesised MAC", narrow, 15.0, SYNTHESISED_INT16_PJ),
    ]


def headline_differences(listed: list[Headline]) -> list[Difference]:
    """Networks and means that are more than 1e-6 off the published headline."""
    found = []
    means = next(c for c in shipped("bitfusion_headline.csv") if c["network"] == "geomean")
    for column, ours, published in (
        ("speedup", [n.speedup for n in listed], [n.published_speedup for n in listed]),
        ("energy_ratio", [n.energy_ratio for n in listed], [n.published_energy_ratio for n in listed]),
    ):
        values = [*zip([n.network for n in listed], ours, published, strict=True)]
        values.append(("geomean", geometric_mean(ours), float(means[column])))
        found += [Difference(n, column, a, b) for n, a, b in values if not abs(a - b) <= 1e-6 * b]
    return found


def geometric_mean(values: list[float]) -> float:
    """Geometric mean of positive values."""
    return math.exp(sum(map(math.log, values)) / len(values))


def exact_beside(found: Rows) -> list[Beside]:
    """The exact engine on every row.  Outputs stay 32 bits wide in DRAM, but move once and not on every visit."""
    models: dict[tuple, CostModel] = {}
    listed = []
    for name, row, values in zip(found.names, found.rows, found.ours, strict=True):
        machine = {
            "array.rows": row.rows,
            "array.cols": row.cols,
            "precision.min_bits": row.min_bits,
            "precision.max_bits": row.max_bits,
            "weight_buffer": f"{row.weight_buffer_bytes} B",
            "input_buffer": f"{row.input_buffer_bytes} B",
            "output_buffer": f"{row.output_buffer_bytes} B",
            "memory.bits_per_cycle": row.port_bits_per_cycle,
            "lane_packing": "flattened" if row.im2col else "per-tap",
            "technology.sram_cells": "itrs-hp",
        }
        key = tuple(machine.values())
        if key not in models:
            models[key] = CostModel(load_hardware(MACHINE, machine))
        shape = (row.in_channels, row.out_channels, row.kernel, row.out_size, row.stride)
        widths = Widths(row.input_bits, row.weight_bits, 8, 8, 32)
        listed.append(beside(name, models[key], shape, row.batch, widths, int(values["cycles"])))
    return listed
