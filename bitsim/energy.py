"""Energy: counters times sourced prices (docs/energy.md has every component and a row by hand).

Assumptions
    - A counter without a price, or a price without a counter to charge, is an error, not a zero.
    - Leakage (SRAM with its gates, and logic) and DRAM static power are charged for the whole time a
      pass runs, in columns of their own; while the machine is idle between passes nothing is charged.
    - Every machine has a vector unit at its output buffer, at the same prices: it requantises finished sums, adds up
      weight gradients, updates weights and does element-wise layers. Requantising is a multiplication of an
      accumulator word by a scale of `vector.scale_bits` bits, an addition and a shift; its time hides behind the store.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bitsim.accelerators.registry import Machine
from bitsim.errors import InputError
from bitsim.technology import dram, registers, sram
from bitsim.technology.arithmetic import arithmetic
from bitsim.technology.price import Price

PJ_PER_MW_S = 1e9  # 1 mW for 1 s
NOT_PRICED = frozenset({"issue_cycles", "tiles"})  # time and bookkeeping, charged as leakage only
# A column of results is named like this counter, and holds something else: nominal MACs.
TAKEN_NAMES = frozenset({"macs"})
VECTOR_WORD_BITS = 32  # the word a vector operation is priced at; wider and narrower ones by their bits


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
        self.pj_per_cycle = (self._leakage_mw + self.memory.static_mw) * PJ_PER_MW_S / float(machine.clock_hz)
        self._components = tuple(self.component_columns)
        self._prices_of: dict[tuple[str, ...], np.ndarray] = {}
        self._pj_each: dict[str, tuple[str, float]] = {
            "dram_read_bits": ("dram_pj", self.memory.read_pj_per_bit),
            "dram_write_bits": ("dram_pj", self.memory.write_pj_per_bit),
        }
        for name, price in self.buffers.items():
            self._pj_each[f"{name}_read_bits"] = (f"{name}_pj", price.read_pj_per_bit)
            self._pj_each[f"{name}_write_bits"] = (f"{name}_pj", price.write_pj_per_bit)
        for event in self.array.events:
            self._pj_each[event.name] = ("array_pj", event.pj)
        self._pj_each["wgrad_copy_bits"] = ("wgrad_copy_pj", self.memory.write_pj_per_bit)
        for name, pj in vector_prices(machine.accelerator.config.vector.scale_bits).items():
            self._pj_each[name] = ("vector_pj", pj)

    @cached_property
    def counter_columns(self) -> list[str]:
        """Names of the priced counters that are columns of a result: traffic first, then events of the array."""
        return [name for name in self._pj_each if name not in TAKEN_NAMES]

    @property
    def priced_counters(self) -> list[str]:
        """Names of all counters that have a price."""
        return list(self._pj_each)

    @property
    def component_columns(self) -> list[str]:
        """Columns of energy in pJ whose sum is energy_pj: each buffer, array, vector unit, DRAM, what time costs."""
        charged = [*(f"{name}_pj" for name in self.buffers), "array_pj", "vector_pj", "dram_pj"]
        return [*charged, "wgrad_copy_pj", "dram_static_pj", "leakage_pj"]

    def price_pj(self, counter: str) -> float:
        """pJ of one count of `counter`.  KeyError if it has no price."""
        return self._pj_each[counter][1]

    def energy_pj(self, counters: dict[str, int], cycles: int) -> dict[str, float]:
        """The component columns and their sum energy_pj, in pJ.

        counters: {name: count} of one occurrence; cycles: how long it ran.
        Raises KeyError for a counter that has no price.
        """
        pj = dict.fromkeys(self._components, 0.0)
        for name, count in counters.items():
            if name in NOT_PRICED:
                continue
            column, each = self._pj_each[name]
            pj[column] += count * each
        clock_hz = self.machine.clock_hz
        seconds = cycles * clock_hz.denominator / clock_hz.numerator
        leakage_mw = self._leakage_mw
        pj["dram_static_pj"] = self.memory.static_mw * seconds * PJ_PER_MW_S
        pj["leakage_pj"] = leakage_mw * seconds * PJ_PER_MW_S
        pj["energy_pj"] = sum(pj.values())
        return pj

    def prices_of(self, names: tuple[str, ...]) -> np.ndarray:
        """(E,) float64: pJ of one count of each counter, 0 for those that are charged as part of others."""
        if names not in self._prices_of:
            self._prices_of[names] = np.array([0.0 if name in NOT_PRICED else self._pj_each[name][1] for name in names])
        return self._prices_of[names]

    def notes(self) -> list[str]:
        """What a reader of the figures must know: estimates with their band, and buffers priced by an unusual table."""
        return self._estimates() + [
            f"{self.machine.name}: {buffer.name}: priced as register files, its banks are below the SRAM table: "
            f"energy a bit falls and no leakage is charged; not comparable with larger sizes ({price.source})"
            for buffer in self.machine.accelerator.buffers()
            if "register file" in (price := self.buffers[buffer.name]).marks
        ]

    def _estimates(self) -> list[str]:
        if self.array.band is None:
            return []
        least, most = self.array.band
        return [
            f"{self.machine.name}: energy, leakage and area of the array are estimates, {least:g}x to {most:g}x: "
            f"array_pj may be {least:g} to {most:g} times what is printed, unlike cycles ({self.array.source})"
        ]

    def sources(self) -> dict[str, str]:
        """Where each price comes from, by what it prices."""
        listed = {name: price.source for name, price in self.buffers.items()}
        own = {e.source: None for e in self.array.events if e.source != self.array.source}
        array = "; ".join([self.array.source, *own])
        return listed | {"array": array, "vector": arithmetic().source, "dram": self.memory.source}


def vector_prices(scale_bits: int) -> dict[str, float]:
    """pJ of each counter of the vector unit, a bit of the wide operand each: {counter: pJ}."""
    estimate = arithmetic()
    multiply_pj = estimate.multiply_add_pj(VECTOR_WORD_BITS, scale_bits) / VECTOR_WORD_BITS
    return {
        "requantised_bits": multiply_pj,
        "vector_multiply_bits": multiply_pj,
        "vector_add_bits": estimate.add_pj_per_bit,
    }
