"""Peaks of a machine: what a roofline is drawn from."""

from __future__ import annotations

from typing import Any

from bitsim.accelerators.registry import Machine


def machine_facts(machine: Machine) -> dict[str, Any]:
    """Clock, memory port and peak of a machine, units in the names."""
    return {
        "clock_hz": float(machine.clock_hz),
        "memory_bits_per_s": float(machine.rate * machine.clock_hz),
        "memory_latency_s": float(machine.port.latency_cycles / machine.clock_hz),
        "peak_bit_products_per_cycle": machine.accelerator.peak_bit_products_per_cycle,
    }
