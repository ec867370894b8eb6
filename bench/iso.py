"""Every shipped trace under every iso mode, beside the bit-flexible array: the last section of docs/compare.md.

``python -m bench.iso`` prints it, ``python -m bench.iso docs/compare.md`` puts it in its place (some ten minutes of one
core).  Each distinct machine is simulated once a trace.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import bitsim
from bench.generated import print_or_put
from bitsim import data
from bitsim.iso import BOTH, CHIP_AREA, COLS, CORE_AREA, MODES, ROWS, Resized, resize
from bitsim.simulation.metrics import Measured, measure, ratios

MARK = "<!-- made by python -m bench.iso -->\n"
BASELINE = "bitfusion_16x32_192b"
OTHERS = ("int8_16x32_192b", "eyeriss_int8_12x14_108k_500mhz", "eyeriss_12x14_108k_500mhz")
NONE = "none"
SHOWN = ("latency_s", "energy_j", "macs_per_s_per_chip_mm2")
GROWN = (CORE_AREA, CHIP_AREA)


def ways(other: str) -> list[tuple[str, str]]:
    """(mode, growth) of a machine's columns; every growth only of the first, whose array turns on it most."""
    growths = (BOTH, COLS, ROWS) if other == OTHERS[0] else (BOTH,)
    listed = [(NONE, BOTH)]
    for mode in MODES:
        listed += [(mode, grow) for grow in growths] if mode in GROWN else [(mode, BOTH)]
    return listed


def brought(other: str, mode: str, grow: str) -> tuple[bitsim.Machine, Resized | None]:
    """The machine `other` at the baseline's size, and how."""
    given = [bitsim.load_hardware(BASELINE), bitsim.load_hardware(other)]
    if mode == NONE:
        return given[1], None
    one = resize(given, mode, BASELINE, grow)[1]
    return one.machine, one


def sizes() -> Iterator[str]:
    """Lines of the table of what each mode makes of each machine."""
    yield "| machine | --iso | --grow | becomes | of the budget |\n|---|---|---|---|---|"
    for other in OTHERS:
        for mode, grow in ways(other):
            _, one = brought(other, mode, grow)
            if one is not None:
                changes = ", ".join(f"{key} {now}" for key, (_, now) in one.changes.items()) or "as it was"
                yield f"| {other} | {mode} | {_growth(mode, grow)} | {changes} | {one.used / one.budget:.1%} |"


def verdicts(trace_name: str, others: tuple[str, ...] = OTHERS) -> Iterator[str]:
    """Lines of the table of one trace: speed, energy and MACs/s per chip area of each machine, above 1 is better."""
    trace = bitsim.open_trace(trace_name)
    base = measure(bitsim.simulate(trace, bitsim.load_hardware(BASELINE)))
    known: dict[str, str] = {}
    yield f"| {trace_name} | --grow | " + " | ".join(others) + " |\n|---|---|" + "---|" * len(others)
    for mode, grow in ways(OTHERS[0]):
        cells = [_cell(trace, other, (mode, grow), base, known) for other in others]
        yield f"| {mode} | {_growth(mode, grow)} | {' | '.join(cells)} |"


def _cell(trace: bitsim.Trace, other: str, way: tuple[str, str], base: Measured, known: dict[str, str]) -> str:
    if way not in ways(other):
        return ""
    machine, _ = brought(other, *way)
    key = machine.source.config_hash
    if key not in known:
        found = ratios(measure(bitsim.simulate(trace, machine)), base)
        known[key] = " ".join(f"{found[name]:.2f}" for name in SHOWN)
    return known[key]


def _growth(mode: str, grow: str) -> str:
    return grow if mode in GROWN else ""


def main() -> None:
    """Print the tables, or put them behind the mark of the page given."""
    lines = [*sizes()]
    for trace_name in data.names("traces", ""):
        lines += ["", *verdicts(trace_name)]
        print(trace_name, file=sys.stderr)
    text = "\n".join(lines) + "\n"
    print_or_put(text, MARK)


if __name__ == "__main__":
    main()
