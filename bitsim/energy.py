"""Energy: counters times sourced prices.

Assumptions
    - A counter without a price, or a price without a counter to charge, is an error, not a zero.
    - Leakage (SRAM with its gates, and logic) and DRAM static power are charged for the whole time a
      pass runs, in columns of their own; while the machine is idle between passes nothing is charged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bitsim.accelerators.registry import Machine
from bitsim.errors import InputError
from bitsim.technology import dram, registers, sram
from bitsim.technology.price import Price

PJ_PER_MW_S = 1e9  # 1 mW for 1 s
NOT_PRICED = frozenset({"issue_cycles", "tiles"})  # time and bookkeeping, charged as leakage only


def buffer_price(machine: Machine, name: str) -> Price:
    """Price of one buffer of `machine`, per bit read and written, with leakage and area."""
    buffer = next(b for b in machine.accelerator.buffers() if b.name == name)
    technology = machine.accelerator.config.technology
    if buffer.register_file:
        return registers.spad_price(buffer.capacity_bits, buffer.banks, buffer.access_bits, technology.node_nm)
    return sram.buffer_price(
        buffer.capacity_bits,
        buffer.banks,
        buffer.access_bits,
        technology.node_nm,
        technology.sram_cells,
        buffer.extra_ports,
        machine.clock_hz,
    )


class PriceList:
    """Prices of everything one machine counts.

    Raises InputError naming the machine file for what has no price, or is too slow for its clock.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        try:
            self._look_up(machine)
        except InputError as error:
            raise InputError([machine.source.located(fault) for fault in error.faults]) from None

    def _look_up(self, machine: Machine) -> None:
        self.memory = dram.dram_price(machine.accelerator.config.memory.energy)
        self.array = machine.accelerator.array_prices()
        self.buffers: dict[str, Price] = {}
        faults: list[str] = []
        for buffer in machine.accelerator.buffers():
            try:
                self.buffers[buffer.name] = buffer_price(machine, buffer.name)
            except InputError as error:
                faults += [f"{buffer.name}: {fault}" for fault in error.faults]
        if faults:
            raise InputError(faults)
        self._leakage_mw = self.array.leakage_mw + sum(p.leakage_mw for p in self.buffers.values())
        self._pj_per_cycle = (self._leakage_mw + self.memory.static_mw) * PJ_PER_MW_S / float(machine.clock_hz)
        self._pj_each: dict[str, tuple[str, float]] = {
            "dram_read_bits": ("dram_pj", self.memory.read_pj_per_bit),
            "dram_write_bits": ("dram_pj", self.memory.write_pj_per_bit),
        }
        for name, price in self.buffers.items():
            self._pj_each[f"{name}_read_bits"] = (f"{name}_pj", price.read_pj_per_bit)
            self._pj_each[f"{name}_write_bits"] = (f"{name}_pj", price.write_pj_per_bit)
        for event in self.array.events:
            self._pj_each[event.name] = ("array_pj", event.pj)

    @property
    def traffic_columns(self) -> list[str]:
        """Names of the priced counters that are columns of a result."""
        return [name for name in self._pj_each if name.endswith("_bits")]

    @property
    def priced_counters(self) -> list[str]:
        """Names of all counters that have a price."""
        return list(self._pj_each)

    def energy_pj(self, counters: dict[str, int], cycles: int) -> dict[str, float]:
        """Columns BUFFER_pj, array_pj, dram_pj, dram_static_pj, leakage_pj and their sum energy_pj, in pJ.

        counters: {name: count} of one occurrence; cycles: how long it ran.
        Raises KeyError for a counter that has no price.
        """
        pj = dict.fromkeys([*(f"{name}_pj" for name in self.buffers), "array_pj", "dram_pj"], 0.0)
        for name, count in counters.items():
            if name in NOT_PRICED:
                continue
            column, each = self._pj_each[name]
            pj[column] += count * each
        seconds = float(cycles / self.machine.clock_hz)
        leakage_mw = self._leakage_mw
        pj["dram_static_pj"] = self.memory.static_mw * seconds * PJ_PER_MW_S
        pj["leakage_pj"] = leakage_mw * seconds * PJ_PER_MW_S
        pj["energy_pj"] = sum(pj.values())
        return pj

    def total_pj(self, counters: Mapping[str, np.ndarray], cycles: np.ndarray) -> np.ndarray:
        """(C,) energy_pj of many occurrences at once, to rounding; counters: {name: (C,)}, cycles: (C,)."""
        charged = (values * self._pj_each[name][1] for name, values in counters.items() if name not in NOT_PRICED)
        return np.asarray(sum(charged, cycles * self._pj_per_cycle), np.float64)

    def notes(self) -> list[str]:
        """What a reader of the figures must know: buffers priced by another table than their neighbours in size."""
        return [
            f"{self.machine.name}: {buffer.name}: priced as register files, its banks are below the SRAM table: "
            f"energy a bit falls and no leakage is charged; not comparable with larger sizes ({price.source})"
            for buffer in self.machine.accelerator.buffers()
            if not buffer.register_file and "register_file" in (price := self.buffers[buffer.name]).source
        ]

    def sources(self) -> dict[str, str]:
        """Where each price comes from, by what it prices."""
        listed = {name: price.source for name, price in self.buffers.items()}
        return listed | {"array": self.array.source, "dram": self.memory.source}
