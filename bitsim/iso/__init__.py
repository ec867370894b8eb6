"""Machines brought to the size of one of them: an equal array, area, or memory.

Rules (one machine, the baseline, stays as it is; each of the others is changed in one respect)
    - array: rows and columns become the baseline's; buffers stay.
    - core-area, chip-area: the array grows or shrinks to the largest that does not exceed the baseline's
      area; buffers stay in bits (in banks they follow the array, and their area with them).  `grow` says how:
      cols, rows as given; rows, columns as given; both, rows first, by the square root of the room there
      is, rounded down, then columns.
    - memory, buffers: all buffers are scaled by one factor, rounded down to whole words in every half of
      every bank; what is left is given out in such granules, largest first.  The array stays.  memory
      counts registers, which stay as they are; buffers does not.
    - Bandwidth, latency and prices of the DRAM, node and SRAM cells must be equal before.  Clocks may
      differ: they are the machine's own.
"""

from bitsim.iso.modes import ARRAY, BUFFERS, CHIP_AREA, CORE_AREA, MEMORY, MODES, resize
from bitsim.iso.record import BITS, MM2, UNITS, Resized
from bitsim.iso.to_area import BOTH, COLS, GROWTHS, ROWS

__all__ = [
    "ARRAY",
    "BITS",
    "BOTH",
    "BUFFERS",
    "CHIP_AREA",
    "COLS",
    "CORE_AREA",
    "GROWTHS",
    "MEMORY",
    "MM2",
    "MODES",
    "ROWS",
    "UNITS",
    "Resized",
    "resize",
]
