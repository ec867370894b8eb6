"""Prices multiplied by factors, after a simulation.

Assumptions
    - Energy is linear in prices, so components times factors is the energy of scaled prices, exactly, for the
      mappings that were chosen.  Where the objective is cycles, prices choose only between mappings whose cycles lie
      within the search's margin; mappings are held.
    - `passing` moves energy of a unit between its lanes and the sums it passes on: a full array keeps its price
      (docs/energy.md).  It is there only where an array counts `column_steps`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.energy import PriceList
from bitsim.simulation.result import Result


@dataclass(frozen=True)
class PriceScale:
    """Factors on groups of prices; 1 is the table's.

    dram: energy a bit each way, copies for the weight gradient with it; array: units; sram: buffers; registers:
    register files; vector: vector unit; leakage: leakage of logic and SRAM; passing: share of a unit's energy that
    passing sums on takes.
    """

    dram: float = 1.0
    array: float = 1.0
    sram: float = 1.0
    registers: float = 1.0
    vector: float = 1.0
    leakage: float = 1.0
    passing: float = 1.0


NOMINAL = PriceScale()


def components_j(result: Result, scale: PriceScale = NOMINAL) -> dict[str, float]:
    """{component: J} of the whole range of `result` with prices scaled."""
    totals, found = result.totals, {}
    for column in result.prices.component_columns:
        joules = totals[column] * 1e-12
        if column == "array_pj" and scale.passing != 1:
            joules += (scale.passing - 1) * _moved_j(result)
        found[column.removesuffix("_pj")] = joules * _factor(result, column, scale)
    return found


def energy_j(result: Result, scale: PriceScale = NOMINAL) -> float:
    """Energy of the whole range with prices scaled, in J."""
    return sum(components_j(result, scale).values())


def group_of(result: Result, column: str) -> str:
    """Field of PriceScale that scales a component column; empty for DRAM static power, which is a row's own."""
    known = {"dram_pj": "dram", "wgrad_copy_pj": "dram", "array_pj": "array", "vector_pj": "vector"}
    known |= {"leakage_pj": "leakage", "dram_static_pj": ""}
    if column in known:
        return known[column]
    name = column.removesuffix("_pj")
    buffer = next(b for b in result.machine.accelerator.buffers() if b.name == name)
    return "registers" if buffer.register_file or "register file" in result.prices.buffers[name].marks else "sram"


def repriced_j(result: Result, prices: PriceList) -> float:
    """Energy in J of the counters of `result` at other prices of memories; array and vector unit stay as they were.

    prices: of the same machine with another DRAM or other SRAM cells.
    """
    totals = result.totals
    counters = {name: int(totals[name]) for name in prices.counter_columns if _is_of_memory(prices, name)}
    memories_pj = prices.energy_pj(counters, int(totals["cycles"]))["energy_pj"]
    return float(memories_pj + totals["array_pj"] + totals["vector_pj"]) * 1e-12


def passes_sums_on(result: Result) -> bool:
    """Whether its array has a price for passing sums on beside its lanes'."""
    return {"column_steps", "bit_products"} <= {event.name for event in result.prices.array.events}


def _factor(result: Result, column: str, scale: PriceScale) -> float:
    group = group_of(result, column)
    return float(getattr(scale, group)) if group else 1.0


def _moved_j(result: Result) -> float:
    """What twice the price of passing on adds, the lanes cheaper by as much in a full array."""
    if not passes_sums_on(result):
        return 0.0
    step_pj = result.prices.price_pj("column_steps")
    accelerator = result.machine.accelerator
    lane_pj = step_pj * accelerator.config.array.cols / accelerator.peak_bit_products_per_cycle
    return float(result.totals["column_steps"] * step_pj - result.totals["bit_products"] * lane_pj) * 1e-12


def _is_of_memory(prices: PriceList, counter: str) -> bool:
    buffers = [f"{name}_{way}_bits" for name in prices.buffers for way in ("read", "write")]
    return counter in (*buffers, "dram_read_bits", "dram_write_bits", "wgrad_copy_bits")
