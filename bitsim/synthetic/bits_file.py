"""A table of bits per layer, such as HAQ (Wang et al., CVPR 2019) finds: layer, its widths, for the whole run."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from bitsim.schedules.bits import ALLOWED, FLOAT_BITS
from bitsim.strict_yaml import MAX_FAULTS
from bitsim.trace.cells import Faults, read_cells
from bitsim.trace.precision_file import OPTIONAL_WIDTHS, WIDTHS
from bitsim.workload import Layer


def read_bits(path: Path, layers: Sequence[Layer]) -> dict[str, dict[str, int]]:
    """{layer or ``gate:NAME``: {column: bits}} in the order of the file; blank optional columns are left out.

    Columns: layer, activation_bits, weight_bits, gradient_bits, and optionally weight_gradient_bits and output_bits.
    InputError with every fault and its line: widths out of range, unknown layers, layers named twice or not at all.
    """
    members = {layer.name: [layer.name] for layer in layers}
    for layer in layers:
        if layer.gate_group:
            members.setdefault(f"gate:{layer.gate_group}", []).append(layer.name)
    faults, table, line_of = Faults(path), dict[str, dict[str, int]](), dict[str, int]()
    last = 1
    for last, cells in read_cells(path, ("layer", *WIDTHS), OPTIONAL_WIDTHS):
        name = cells.pop("layer")
        if name not in members:
            near = difflib.get_close_matches(name, members, n=1)
            hint = f"did you mean {near[0]}?" if near else "allowed: layers and gates of the model"
            faults.add(last, f"layer: {name[:80]!r}: unknown layer, {hint}")
        for member in members.get(name, []):
            if member in line_of:
                faults.add(last, f"layer {member}: named twice, first on line {line_of[member]}, allowed: once")
            line_of[member] = last
        table[name] = {}
        for column, text in cells.items():
            number = int(text) if text.isascii() and text.isdecimal() and len(text) < 3 else 0
            if text or column in WIDTHS:
                if not 1 <= number <= FLOAT_BITS:
                    faults.add(last, f"{column}: {text!r}, allowed: {ALLOWED}")
                table[name][column] = number
    missing = [layer.name for layer in layers if layer.name not in line_of]
    if missing:
        listed = ", ".join(missing[:MAX_FAULTS]) + (", ..." if len(missing) > MAX_FAULTS else "")
        faults.add(last, f"{len(missing)} layers not in the table, allowed: none; by name or by gate: {listed}")
    faults.check()
    return table
