"""What arrays share that keep each operand in a memory of its own: three double-buffered memories, and columns that
add up products on their way down (BitFusion, ISCA 2018; the matrix unit of Jouppi et al., ISCA 2017).
"""

from __future__ import annotations

from typing import Literal

from bitsim.accelerators.seam import (
    INPUT,
    OUTPUT,
    WEIGHT,
    Accelerator,
    ArrayPrices,
    Buffer,
    Orientation,
    UnitEvent,
)
from bitsim.hardware.schema import MachineConfig, SizeBits
from bitsim.technology import logic
from bitsim.technology.arithmetic import column_prices
from bitsim.workload import Product

NORMAL, SWAPPED = "normal", "swapped"
HOLDS = {
    NORMAL: {INPUT: "input_buffer", WEIGHT: "weight_buffer", OUTPUT: "output_buffer"},
    SWAPPED: {INPUT: "weight_buffer", WEIGHT: "input_buffer", OUTPUT: "output_buffer"},
}
BOTH = tuple(Orientation(name, holds) for name, holds in HOLDS.items())


class OperandBuffers(MachineConfig):
    """Keys of the three memories."""

    weight_buffer: SizeBits
    input_buffer: SizeBits
    output_buffer: SizeBits
    buffer_access_bits: Literal[8, 16, 32, 64, 128, 256] = 32


class OperandBufferArray(Accelerator):
    """An array between the three memories."""

    price_keys = ("technology", "buffer_access_bits")
    size_keys = ("weight_buffer", "input_buffer", "output_buffer")
    config: OperandBuffers

    def operand_buffers(self, weight_banks: int, input_banks: int, output_banks: int) -> tuple[Buffer, ...]:
        """The memories; the output buffer is read, added to and written in one cycle."""
        config, access = self.config, self.config.buffer_access_bits
        return (
            Buffer("weight_buffer", config.weight_buffer, 2, weight_banks, access),
            Buffer("input_buffer", config.input_buffer, 2, input_banks, access),
            Buffer("output_buffer", config.output_buffer, 2, output_banks, access, extra_ports=1),
        )


class ColumnArray(OperandBufferArray):
    """Rows x columns of units: partial sums pass down a column and leave below its last row.

    unit_widths: (widest, narrowest) operand of a unit.
    """

    unit_widths: tuple[int, int]

    def __init__(self, config: OperandBuffers) -> None:
        super().__init__(config)
        self.rows, self.cols = config.array.rows, config.array.cols

    def orientations(self, product: Product) -> tuple[Orientation, ...]:
        """Normal: outputs in columns.  Swapped: positions, or channels of a weight gradient, in columns.

        A window cannot stand in columns: neighbours would each need a copy of the pixels they share.
        """
        windowless = product.rows.taps == product.cols.taps == (0,) and product.rows.stride == product.cols.stride == 1
        return BOTH if product.writes_filter or windowless else BOTH[:1]

    @property
    def drain_cycles(self) -> int:
        """Cycles from the last input until the last column is visible: N + M + 1 at the default depths."""
        depth = self.config.microarchitecture
        return self.rows * (1 + depth.unit_pipeline_cycles) + self.cols + depth.sram_read_cycles

    def array_prices(self) -> ArrayPrices:
        """Bit products, and what a column takes to pass sums on and to add up (docs/energy.md)."""
        unit, column = logic.unit_price(*self.unit_widths), column_prices(*self.unit_widths, self.rows)
        return ArrayPrices(
            events=(
                UnitEvent("bit_products", column.bit_product_pj, unit.source),
                UnitEvent("column_steps", column.step_pj, column.source),
                UnitEvent("accumulated_bits", column.accumulated_bit_pj, column.source),
            ),
            leakage_mw=unit.leakage_mw * self.rows * self.cols,
            source=unit.source,
        )
