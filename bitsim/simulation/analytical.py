"""Costs by a published closed-form model, where a machine has one: `--timing analytical`.

Apart from the exact engine: no tile, fill, drain or stall is timed.  Compute cycles stand in the column
issue_cycles, the model's memory wait in wait_load_cycles; energies are at the published prices, with no
leakage and no DRAM static power, as the model has none.
"""

from __future__ import annotations

from collections.abc import Callable

from bitsim.accelerators.registry import Machine
from bitsim.energy import PriceList
from bitsim.errors import InputError
from bitsim.kernels.program import CLASSES
from bitsim.simulation.cost import PassCost, Work, located, mac_columns
from bitsim.simulation.streams import Stream
from bitsim.workload import Layer, Widths


class AnalyticalPrices(PriceList):
    """Columns as of the machine's own prices; the figures are the model's."""

    source = ""

    def sources(self) -> dict[str, str]:
        return dict.fromkeys(super().sources(), self.source)

    def notes(self) -> list[str]:
        return [f"{self.machine.name}: --timing analytical is the published closed-form model, not the exact engine"]


class AnalyticalModel:
    """Costs of one machine by its published model; the same interface as CostModel.

    Raises InputError where the port does not move whole bits a cycle.
    """

    def __init__(self, machine: Machine) -> None:
        if machine.rate.denominator != 1:
            fault = f"memory: {float(machine.rate):g} bits a cycle, allowed for --timing analytical: whole ones"
            raise InputError(machine.source.located(fault))
        self.machine = machine
        self.prices = AnalyticalPrices(machine)

    def pass_cost(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> PassCost:
        """Cost of one pass of `layer` over `samples` samples.  Raises InputError where the model cannot say."""
        with located(self.machine, f"--timing analytical, layer {layer.name}, {pass_name}"):
            found = self.machine.accelerator.analytical_cost(layer, pass_name, samples, widths)
        self.prices.source = found.source
        cycles = found.compute_cycles + found.wait_cycles
        input_bits, weight_bits, _ = widths.operands(pass_name)
        macs = layer.macs(samples)
        hw_products = found.input_hw_bits * found.weight_hw_bits
        values: dict[str, int | float | str] = {
            "input_bits": input_bits,
            "weight_bits": weight_bits,
            "output_bits": found.output_bits,
            "input_hw_bits": found.input_hw_bits,
            "weight_hw_bits": found.weight_hw_bits,
            "accumulator_bits": found.output_bits,
            "required_accumulator_bits": found.output_bits,
            "passes": 1,
            "orientation": "analytical",
            "tiles": found.counters["tiles"],
            **mac_columns(macs, macs, (input_bits, weight_bits), hw_products),
            "cycles": cycles,
        }
        classes = dict.fromkeys(CLASSES, 0) | {"issue": found.compute_cycles, "wait_load": found.wait_cycles}
        values |= {f"{name}_cycles": count for name, count in classes.items()}
        values["stall_cycles"] = found.wait_cycles
        peak = self.machine.accelerator.peak_bit_products_per_cycle
        values["utilisation"] = macs * hw_products / (cycles * peak)
        values["bound"] = "compute" if found.compute_cycles >= found.wait_cycles else "memory"
        values |= {name: found.counters.get(name, 0) for name in self.prices.counter_columns}
        values |= self.prices.energy_pj({}, 0) | found.energy_pj
        values["energy_pj"] = sum(found.energy_pj.values())
        return PassCost(values, (), Work(found.counters, macs * hw_products, 0))

    def stream_cost(self, layer: Layer, pass_name: str, stream: Callable[[], Stream]) -> PassCost:
        """No published model has one."""
        raise InputError(f"--timing analytical: the model has no {pass_name}, allowed: --passes forward")
