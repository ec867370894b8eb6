"""Area of a machine: the logic and memories it declares, at the prices of the tables.

Assumptions
    - The core is the array: its logic and the registers inside it.  The chip is the core and its
      buffers, the banks of each side by side as CACTI gives them.
    - Left out for want of a source: controllers, networks and buses between the parts, adders at the
      output buffer, the DRAM interface, pads, and what floorplanning leaves empty.  LEFT_OUT says so.
    - Logic stands at the node its source says (the synthesis is 45 nm), memories at that of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.accelerators.registry import Machine
from bitsim.energy import buffer_price
from bitsim.errors import InputError

LOGIC, REGISTERS, BUFFER = "logic", "registers", "buffer"
LEFT_OUT = "controllers, networks and buses, output adders, DRAM interface, pads and floorplan"


@dataclass(frozen=True)
class Part:
    """Equal blocks of one kind (logic, registers or buffer): how many, bits they hold and mm2, all together.

    marks: interpolated, extrapolated, register file (of banks below the SRAM table), estimate with its band.
    """

    name: str
    kind: str
    count: int
    bits: int
    mm2: float
    source: str
    marks: tuple[str, ...] = ()

    @property
    def mm2_each(self) -> float:
        """Area of one block."""
        return self.mm2 / self.count


@dataclass(frozen=True)
class Area:
    """Parts of one machine; the sums of them that machines are compared by."""

    machine: str
    parts: tuple[Part, ...]

    @property
    def core_mm2(self) -> float:
        """Logic and registers of the array."""
        return sum(part.mm2 for part in self.parts if part.kind != BUFFER)

    @property
    def buffers_mm2(self) -> float:
        """Buffers beside the array."""
        return sum(part.mm2 for part in self.parts if part.kind == BUFFER)

    @property
    def chip_mm2(self) -> float:
        """Core and buffers."""
        return self.core_mm2 + self.buffers_mm2

    @property
    def buffer_bits(self) -> int:
        """Capacity of the buffers."""
        return sum(part.bits for part in self.parts if part.kind == BUFFER)

    @property
    def register_bits(self) -> int:
        """Capacity of the registers that are declared as memories (the spads of a PE)."""
        return sum(part.bits for part in self.parts if part.kind == REGISTERS)

    @property
    def memory_bits(self) -> int:
        """Buffers and registers."""
        return self.buffer_bits + self.register_bits

    @property
    def marks(self) -> tuple[str, ...]:
        """Marks of any part."""
        return tuple(dict.fromkeys(mark for part in self.parts for mark in part.marks))


def area_of(machine: Machine) -> Area:
    """Area of `machine`, part by part.

    Raises InputError naming file and line of every memory and unit that has no price (a width that was
    not synthesised, a bank outside the SRAM table or slower than the clock).
    """
    return _area(machine, core_only=False)


def core_area_mm2(machine: Machine) -> float:
    """Logic and registers of the array alone: known where a buffer has no price, too.

    Raises InputError for what of them has none.
    """
    return _area(machine, core_only=True).core_mm2


def _area(machine: Machine, core_only: bool) -> Area:
    faults: list[str] = []
    parts: list[Part] = []
    try:
        parts += [
            Part(one.name, LOGIC, one.count, 0, one.area_mm2 * one.count, one.source, one.marks)
            for one in machine.accelerator.logic()
        ]
    except InputError as error:
        faults += error.faults
    for buffer in machine.accelerator.buffers():
        if core_only and not buffer.register_file:
            continue
        try:
            price = buffer_price(machine, buffer.name)
        except InputError as error:
            faults += [f"{buffer.name}: {fault}" for fault in error.faults]
            continue
        kind = REGISTERS if buffer.register_file else BUFFER
        size = (buffer.banks, buffer.capacity_bits, price.area_mm2)
        parts.append(Part(buffer.name, kind, *size, price.source, price.marks))
    if faults:
        raise InputError([machine.source.located(fault) for fault in faults])
    return Area(machine.name, tuple(parts))
