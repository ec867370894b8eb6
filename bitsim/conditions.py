"""Conditions a machine runs under: what two machines must share before a difference is the accelerator's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from bitsim.accelerators.registry import Machine

# Of machines brought to one size: else the ratio is one of memories, processes or cells.
MUST_BE_EQUAL = {
    "bandwidth": "memory.bandwidth",
    "memory latency": "memory.latency",
    "DRAM prices": "memory.energy",
    "node": "technology.node_nm",
    "SRAM cells": "technology.sram_cells",
}


def conditions(machine: Machine, timing: str | None = None) -> dict[str, str]:
    """{what: value with its unit}: clock, memory, process, storage and sizes of `machine`, and what timed it if given.

    Memory is given in Gbit/s and ns, so that equal text is equal memory whatever the clock.
    """
    accelerator, config = machine.accelerator, machine.accelerator.config
    memory, technology = config.memory, config.technology
    latency_s = memory.latency if memory.latency is not None else memory.latency_cycles / machine.clock_hz
    listed = {"timing": timing} if timing is not None else {}
    return listed | {
        "clock": f"{float(machine.clock_hz / 10**6):.12g} MHz",
        "bandwidth": f"{float(machine.rate * machine.clock_hz / 10**9):.12g} Gbit/s",
        "memory latency": f"{float(latency_s * 10**9):.12g} ns",
        "DRAM prices": memory.energy,
        "node": f"{technology.node_nm} nm",
        "SRAM cells": technology.sram_cells,
        "storage": f"{config.storage.dram} in DRAM and {config.storage.buffers} in buffers",
        "memory on chip": f"{sum(b.capacity_bits for b in accelerator.buffers()) / 8192:.12g} KiB",
        "bit products a cycle": str(accelerator.peak_bit_products_per_cycle),
    }


def differences(machines: Sequence[Machine], timings: Sequence[str | None] = ()) -> dict[str, dict[str, str]]:
    """{what: {machine: value}} of the conditions that are not the same for all; timings: of each machine, if known."""
    listed: dict[str, dict[str, str]] = {}
    for machine, timing in zip_longest(machines, timings):
        for what, value in conditions(machine, timing).items():
            listed.setdefault(what, {})[machine.name] = value
    return {what: values for what, values in listed.items() if len(set(values.values())) > 1}
