"""Constants a verdict rests on, each with the range it is tried over and why.

Ranges come from the tables where they hold more than one value for the same thing.  Where they hold one, the range is
a choice, and the reason says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsim.simulation.price_scale import group_of, passes_sums_on
from bitsim.simulation.result import Result
from bitsim.technology.dram import dram_names, dram_price
from bitsim.technology.sram import cell_types

CHOSEN = "chosen: a factor of two either way"


@dataclass(frozen=True)
class Continuous:
    """A factor on a group of prices (a field of PriceScale), of one machine or of all, tried from low to high."""

    label: str
    group: str
    hardware: str | None
    low: float
    high: float
    reason: str


@dataclass(frozen=True)
class Discrete:
    """A key of machine files and the values it is tried at; retimed: whether time depends on it."""

    label: str
    key: str
    values: tuple[str, ...]
    retimed: bool
    reason: str


def constants_of(results: Sequence[Result]) -> tuple[list[Continuous], list[Discrete]]:
    """The constants that results of these machines rest on."""
    return _continuous(results), _discrete(results)


def _continuous(results: Sequence[Result]) -> list[Continuous]:
    groups = {group_of(result, column) for result in results for column in result.prices.component_columns}
    found = [_dram(results)]
    units = (
        f"{CHOSEN}; Horowitz (ISSCC 2014) has 0.3 pJ for an 8-bit product and a 32-bit sum, 1.5x the synthesised unit"
    )
    found.append(Continuous("unit energy, all machines", "array", None, 0.5, 2.0, units))
    for result in results:
        name = result.machine.name
        found.append(Continuous(f"unit energy of {name}", "array", name, 0.5, 2.0, "the same, of one machine alone"))
    if any(map(passes_sums_on, results)):
        why = (
            "registers and adders of a unit; 0: it pays for bit products alone; 2: twice the estimate of docs/energy.md"
        )
        found.append(Continuous("register share", "passing", None, 0.0, 2.0, why))
    if "sram" in groups:
        why = f"{CHOSEN}; interpolation in the table errs 4.4 % at the median"
        found.append(Continuous("SRAM energy a bit", "sram", None, 0.5, 2.0, why))
    if "registers" in groups:
        why = f"{CHOSEN}; three depths are in the table, all others on a line through them"
        found.append(Continuous("register energy a bit", "registers", None, 0.5, 2.0, why))
    why = f"{CHOSEN}; the price is an estimate from the synthesis"
    found.append(Continuous("vector unit energy", "vector", None, 0.5, 2.0, why))
    why = "0: power gated whenever it helps; 2: chosen, leakage grows with temperature"
    found.append(Continuous("leakage", "leakage", None, 0.0, 2.0, why))
    return found


def _dram(results: Sequence[Result]) -> Continuous:
    """From the cheapest to the dearest bit of the table, over the dearest and cheapest that a machine has now."""
    prices = {name: dram_price(name).read_pj_per_bit for name in dram_names()}
    now = [result.prices.memory.read_pj_per_bit for result in results]
    least, most = (pick(prices, key=prices.__getitem__) for pick in (min, max))
    reason = f"the table, {prices[least]:g} ({least}) to {prices[most]:g} pJ a bit read ({most})"
    return Continuous("DRAM energy a bit", "dram", None, prices[least] / min(now), prices[most] / max(now), reason)


def _discrete(results: Sequence[Result]) -> list[Discrete]:
    found = [
        Discrete("DRAM part", "memory.energy", dram_names(), False, "every row of the table, its static power with it"),
        Discrete(
            "SRAM cells", "technology.sram_cells", cell_types(), False, "every cell type of the table fast enough"
        ),
    ]
    if any(hasattr(result.machine.accelerator.config, "lane_packing") for result in results):
        why = "the other way to fill lanes of a convolution, on every machine that has the choice"
        found.append(Discrete("lane packing", "lane_packing", ("per-tap", "flattened"), True, why))
    return found
