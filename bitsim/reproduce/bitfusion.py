"""`bitsim reproduce bitfusion`: the published rows, computed anew, and the exact engine beside them.

Held: every counter of every row exactly, energies to 1e-6.  Reported: how far the analytical model
is from the exact engine, layer by layer.  The headline is in headline.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitsim.accelerators.registry import load_hardware
from bitsim.analytical.bitfusion_isca18 import COUNTERS, ENERGIES, layer
from bitsim.analytical.isca18_row import OUTPUT_BITS, Row
from bitsim.errors import InputError
from bitsim.reproduce.beside import Beside, beside
from bitsim.reproduce.published_rows import Difference, differences, given, shipped, whole_numbers
from bitsim.simulation.cost import CostModel
from bitsim.strict_yaml import raise_faults
from bitsim.workload import Widths

LAYERS_FILE = "bitfusion_isca18_layers.csv"
MACHINE = "bitfusion_16x32_192b"
MOST = 2**31 - 1  # of any dimension
# What of the published model the exact engine is also run with.
AS_PUBLISHED = {"outputs": "outputs move at 32 bits on every visit, the first read and the last write included"}


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
    names: list[str] = []
    read, ours, found, faults = [], [], [], []
    for where, cells in listed:
        names.append(" ".join(filter(None, (where if path else "", cells.get("network"), cells.get("layer")))))
        try:
            read.append(read_row(where, cells))
            ours.append(layer(read[-1]))
            found += differences(names[-1], ours[-1], cells, COUNTERS, ENERGIES)
        except InputError as error:
            faults += [fault if fault.startswith(where) else f"{where}: {fault}" for fault in error.faults]
    raise_faults(path or LAYERS_FILE, faults)
    return Rows(names, [cells.get("network", "") for _, cells in listed], read, ours, found)


def read_row(where: str, cells: Mapping[str, str]) -> Row:
    """A row from its cells.  InputError naming `where` and every column that is missing or not sound."""
    least = {name: 0 if name == "im2col" else 1 for name in Row.__dataclass_fields__}
    values, faults = whole_numbers(where, cells, least, MOST, {})
    if faults:
        raise InputError(faults)
    return Row(**values)


def exact_beside(found: Rows) -> list[Beside]:
    """The exact engine on every row.

    Outputs are 32 bits wide in DRAM, as published, but move once; also with the published rule, every visit.
    """
    models: dict[tuple, dict[str, CostModel]] = {}
    listed = []
    for name, row, values in zip(found.names, found.rows, found.ours, strict=True):
        machine = machine_of(row)
        key = tuple(machine.values())
        if key not in models:
            variants = {"": machine, "outputs": machine | {"outputs": "accumulator"}}
            models[key] = {what: CostModel(load_hardware(MACHINE, keys)) for what, keys in variants.items()}
        shape = (row.in_channels, row.out_channels, row.kernel, row.out_size, row.stride)
        widths = Widths(row.input_bits, row.weight_bits, 8, 8, OUTPUT_BITS)
        published = int(values["compute_cycles"]), int(values["memory_wait_cycles"])
        listed.append(beside(name, models[key], shape, row.batch, widths, published))
    return listed


def machine_of(row: Row) -> dict[str, int | str]:
    """Keys of the machine a row ran on."""
    return {
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
