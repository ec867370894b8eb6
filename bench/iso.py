"""Every shipped trace under every iso mode: ``python -m bench.iso`` prints the tables of docs/iso.md.

Each distinct machine is simulated once a trace; the baseline is the bit-flexible array.
"""

from __future__ import annotations

import bitsim
from bitsim import data
from bitsim.iso import BOTH, CHIP_AREA, COLS, CORE_AREA, MODES, ROWS, Resized, resize
from bitsim.simulation.metrics import Measured, measure, ratios

BASELINE = "bitfusion_16x32_192b"
OTHERS = ("int8_16x32_192b", "eyeriss_int8_12x14_108k_500mhz", "eyeriss_12x14_108k_500mhz")
NONE = "none"
SHOWN = ("latency_s", "energy_j", "macs_per_s_per_chip_mm2")


def ways(other: str) -> list[tuple[str, str]]:
    """(mode, growth) of a machine's columns; every growth only of the first, whose array turns on it most."""
    growths = (BOTH, COLS, ROWS) if other == OTHERS[0] else (BOTH,)
    listed = [(NONE, BOTH)]
    for mode in MODES:
        listed += [(mode, grow) for grow in growths] if mode in (CORE_AREA, CHIP_AREA) else [(mode, BOTH)]
    return listed


def brought(other: str, mode: str, grow: str) -> tuple[bitsim.Machine, Resized | None]:
    """The machine `other` at the baseline's size, and how."""
    given = [bitsim.load_hardware(BASELINE), bitsim.load_hardware(other)]
    if mode == NONE:
        return given[1], None
    one = resize(given, mode, BASELINE, grow)[1]
    return one.machine, one


def main() -> None:
    """Print what each mode makes of each machine, then speed, energy and throughput per chip area of each trace."""
    machines = {(other, *way): brought(other, *way) for other in OTHERS for way in ways(other)}
    print("| machine | --iso | --grow | becomes | used of budget |\n|---|---|---|---|---|")
    for (other, mode, grow), (_, one) in machines.items():
        if one is not None:
            changes = ", ".join(f"{key} {now}" for key, (_, now) in one.changes.items()) or "as it was"
            print(f"| {other} | {mode} | {grow} | {changes} | {one.used / one.budget:.1%} |")
    for trace_name in data.names("traces", ""):
        trace = bitsim.open_trace(trace_name)
        base = measure(bitsim.simulate(trace, bitsim.load_hardware(BASELINE)))
        known: dict[str, str] = {}
        print(f"\n{trace_name}\n\n| --iso | --grow | " + " | ".join(OTHERS) + " |\n|---|---|" + "---|" * len(OTHERS))
        for mode, grow in ways(OTHERS[0]):
            cells = []
            for other in OTHERS:
                machine, _ = machines.get((other, mode, grow), (None, None))
                cells.append(_cell(trace, machine, base, known) if machine else "")
            print(f"| {mode} | {grow if mode in (CORE_AREA, CHIP_AREA) else ''} | {' | '.join(cells)} |", flush=True)


def _cell(trace: bitsim.Trace, machine: bitsim.Machine, base: Measured, known: dict[str, str]) -> str:
    key = machine.source.config_hash
    if key not in known:
        found = ratios(measure(bitsim.simulate(trace, machine)), base)
        known[key] = " ".join(f"{found[name]:.2f}" for name in SHOWN)
    return known[key]


if __name__ == "__main__":
    main()
