"""Output-stationary array of fixed units: each unit keeps one sum until it is complete.

Assumptions
    - Rows of units hold positions (of a weight gradient: pairs of channel and tap), columns hold outputs.  Each cycle
      one step of the reduction reaches all units: an input word along every row, a weight word down every column.
    - Finished sums leave one row a cycle, behind the next block of sums, so a block takes at least as many cycles as
      there are rows.
    - Operands wider than a unit take one pass for each pair of slices; a pass reads its words anew.
    - Input reads of taps in the padding are left out.  A weight word serves all rows, so its read is not.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bitsim.accelerators import seam
from bitsim.accelerators.seam import INPUT, OUTPUT, WEIGHT, Datapath, Orientation, Tile, ceil_div
from bitsim.hardware.schema import MachineConfig, Section, SizeBits, WidthOrError
from bitsim.technology import logic
from bitsim.workload import Product

BUFFER_ACCESS_BITS = 32


class Precision(Section):
    """Width of a unit, and of operands in float."""

    bits: Annotated[int, Field(strict=True, ge=1, le=16)]
    float: WidthOrError = 16


class Config(MachineConfig):
    """Keys of the machine file beyond those that every machine has."""

    precision: Precision
    weight_buffer: SizeBits
    input_buffer: SizeBits
    output_buffer: SizeBits


class Accelerator(seam.Accelerator):
    """array.rows x array.cols units with three double-buffered memories around them."""

    config_model: ClassVar[type[MachineConfig]] = Config
    config: Config

    def buffers(self) -> tuple[seam.Buffer, ...]:
        config, rows, cols = self.config, self.config.array.rows, self.config.array.cols
        return (
            seam.Buffer("weight_buffer", config.weight_buffer, halves=2, banks=cols, access_bits=BUFFER_ACCESS_BITS),
            seam.Buffer("input_buffer", config.input_buffer, halves=2, banks=rows, access_bits=BUFFER_ACCESS_BITS),
            seam.Buffer("output_buffer", config.output_buffer, halves=2, banks=cols, access_bits=BUFFER_ACCESS_BITS),
        )

    def slices(self, bits: int) -> tuple[int, int]:
        return self.config.precision.bits, ceil_div(bits, self.config.precision.bits)

    def orientations(self, product: Product) -> tuple[Orientation, ...]:
        held = {INPUT: "input_buffer", WEIGHT: "weight_buffer", OUTPUT: "output_buffer"}
        return (Orientation("normal", held),)

    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        return {"outputs": self.config.array.cols}

    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Any]:
        return {
            INPUT: tile.words(INPUT) * datapath.buffer_bits[0],
            WEIGHT: tile.words(WEIGHT) * datapath.buffer_bits[1],
            OUTPUT: tile.words(OUTPUT) * datapath.accumulator_bits,
        }

    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> seam.TileCost:
        rows, cols = self.config.array.rows, self.config.array.cols
        filter_words, positions = tile.channels * tile.taps, tile.positions
        # What stands in the rows, and how many steps each sum takes.
        in_rows, steps = (filter_words, positions) if tile.writes_filter else (positions, filter_words)
        row_blocks, column_blocks = ceil_div(in_rows, rows), ceil_div(tile.outputs, cols)
        input_bits, weight_bits = datapath.buffer_bits
        products = tile.groups * tile.channels * tile.outputs
        input_reads = tile.groups * tile.channels * column_blocks  # at each position and tap
        weight_reads = tile.groups * tile.outputs * steps * row_blocks
        # A phase of a strided dgrad may meet no tap: it issues nothing, its zeros are only stored.
        block_cycles = np.maximum(steps * datapath.passes, rows) if tile.taps else 0
        return seam.TileCost(
            issue_cycles=tile.groups * row_blocks * column_blocks * block_cycles,
            drain_cycles=self.config.microarchitecture.sram_read_cycles + 1 + rows,
            per_tile={
                "weight_buffer_read_bits": weight_reads * weight_bits * datapath.input_slices,
                "output_buffer_write_bits": tile.words(OUTPUT) * datapath.accumulator_bits,
            },
            per_tap={
                "input_buffer_read_bits": input_reads * input_bits * datapath.weight_slices,
                "bit_products": products * datapath.input_hw_bits * datapath.weight_hw_bits,
            },
        )

    @property
    def peak_bit_products_per_cycle(self) -> int:
        return self._units * self.config.precision.bits**2

    def array_prices(self) -> seam.ArrayPrices:
        unit, bits = self._unit(), self.config.precision.bits
        event = seam.UnitEvent("bit_products", unit.active_pj_per_cycle / bits**2, unit.source)
        return seam.ArrayPrices((event,), unit.leakage_mw * self._units, unit.source)

    def logic(self) -> tuple[seam.Logic, ...]:
        unit = self._unit()
        return (seam.Logic("units", self._units, unit.area_mm2, unit.source),)

    @property
    def _units(self) -> int:
        return self.config.array.rows * self.config.array.cols

    def _unit(self) -> logic.LogicPrice:
        """The synthesised unit of this width; InputError naming the widths that were synthesised."""
        return logic.unit_price(self.config.precision.bits, self.config.precision.bits)
