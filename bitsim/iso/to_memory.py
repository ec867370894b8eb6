"""Buffers brought to the capacity of another machine's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bitsim.accelerators.registry import Machine
from bitsim.accelerators.seam import Buffer
from bitsim.errors import InputError
from bitsim.iso.record import BITS, Resized, resized
from bitsim.units import show_size

MEMORY, BUFFERS = "memory", "buffers"


def to_memory(machine: Machine, target: Machine, mode: str) -> Resized:
    """`machine` with buffers scaled to the bits of `target`: its buffers, in mode memory with its registers.

    Raises InputError if a word in every half of every bank is more than that.
    """
    registers_bits, buffers = _memories(machine)
    target_registers_bits, target_buffers = _memories(target)
    budget_bits = sum(b.capacity_bits for b in target_buffers)
    if mode == MEMORY:
        budget_bits += target_registers_bits
    counted_bits = registers_bits if mode == MEMORY else 0
    sizes_bits = {b.name: b.capacity_bits for b in buffers}
    if sum(sizes_bits.values()) + counted_bits != budget_bits:
        sizes_bits = _scaled(buffers, budget_bits - counted_bits)
    used_bits = sum(sizes_bits.values()) + counted_bits
    if used_bits > budget_bits or not sizes_bits:
        raise InputError(
            f"--iso {mode}: {machine.name}: registers counted ({show_size(counted_bits)}) and one word in every half "
            f"of every bank take {show_size(used_bits)}, above the {show_size(budget_bits)} of {target.name}; "
            f"allowed: a larger baseline{', or --iso buffers' if mode == MEMORY else ''}"
        )
    rule = "buffers are scaled by one factor to whole words in every half of every bank, the rest largest granule first"
    rule += "; registers stay" + ("" if mode == MEMORY else " and do not count")
    keys = {name: show_size(bits) for name, bits in sizes_bits.items()}
    granule_bits = min(map(_granule_bits, buffers))
    return resized(mode, rule, machine, keys, BITS, budget_bits, used_bits, granule_bits)


def _memories(machine: Machine) -> tuple[int, list[Buffer]]:
    """(bits of registers, the buffers beside them)."""
    memories = machine.accelerator.buffers()
    return (
        sum(b.capacity_bits for b in memories if b.register_file),
        [b for b in memories if not b.register_file],
    )


def _granule_bits(buffer: Buffer) -> int:
    """One word in every half of every bank, in whole bytes."""
    return math.lcm(buffer.banks * buffer.access_bits * max(1, buffer.halves), 8)


def _scaled(buffers: Sequence[Buffer], budget_bits: int) -> dict[str, int]:
    """{buffer: bits}, in the proportions given, in granules, at least one each; above the budget if that is."""
    given_bits = sum(b.capacity_bits for b in buffers)
    granules = {b.name: _granule_bits(b) for b in buffers}
    sizes = {
        b.name: max(1, b.capacity_bits * budget_bits // given_bits // granules[b.name]) * granules[b.name]
        for b in buffers
    }
    for name in sorted(granules, key=lambda name: -granules[name]):
        sizes[name] += max(0, budget_bits - sum(sizes.values())) // granules[name] * granules[name]
    return sizes
