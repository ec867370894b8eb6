"""Weight-stationary integer array (after the matrix unit of the first TPU: Jouppi et al., ISCA 2017, Sec. 2).

N rows x M columns of multipliers at one width.  Each holds one word of an operand while the other
streams past it: inputs enter at column 0 and move one register a column, partial sums move one
register a row (1 + `unit_pipeline_cycles`) and leave below the last row into their column's
accumulators, the output buffer.  What an array holds at once is a *fold*: N of the reduction by M columns.

Micro-architecture of one tile, in cycles (W = (N - 1)(1 + unit_pipeline_cycles): what enters row 0 in
cycle t enters the last row in cycle t + W; column c does everything c cycles after column 0):
    - *Fill.* A column is a shift chain: a word enters it at row 0 each cycle, that of the last row
      first, and the whole chain moves for N cycles.
    - `weight_planes: 2` (the TPU): the chain is a second plane of registers beside the held one.  A mark
      runs along with the first input of a fold and copies the chain into the held plane, in the last row
      W cycles after row 0; from that cycle on the chain may move again.  So folds of T inputs follow one
      another in max(T, W + N) cycles.
    - `weight_planes: 1`: the chain is what multiplies, and moves again in the cycle in which the last input
      meets the last row: a fold takes N + T + W - 1.
    - The first fill of a tile is exposed, since its words may have arrived only then.  A tile's issue ends when
      its last input has entered row 0 and the next tile's fill may begin.
    - With F folds, issue = N + (F - 1) max(T, W + N) + max(T, W) for two planes, and
      N + (F - 1)(N + T + W - 1) + T + max(W - 1, 0) for one.  A result is visible
      D = N (1 + unit_pipeline_cycles) + M + sram_read_cycles after the last *input*; a tile's `drain` counts
      from the end of issue.

Assumptions
    - Convolutions are not unrolled into im2col: a fold holds one tap (rows of channels), as the
      bit-flexible array packs its lanes per tap, so that the two differ in dataflow alone.
    - Every fold but the first adds to the accumulators: each output is read and written once a fold.
      The adder forwards a sum that is still being written.
    - wgrad takes positions to rows, where forward and dgrad take channels: as in the bit-flexible array both
      of its operands are stored a second time.  It holds the output gradient and streams input channels x
      taps; or, `swapped`, the inputs of one tap, and streams out channels.
    - Operands wider than the unit run in slices: held ones in more folds, streamed ones in more cycles
      (ISCA 2017: half speed at 8 x 16 bits, a quarter at 16 x 16).  Slices of a streamed word meet in
      a register below the column.
    - A held word costs energy when it moves: the chain's registers are priced as register files of a word
      a plane, all of them in each of the N cycles of a fill.
    - A sum passes all N units of its column, filled or not, and is added up below it: priced as in the
      bit-flexible array (docs/energy.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from bitsim.accelerators.operand_buffers import NORMAL, ColumnArray, OperandBuffers
from bitsim.accelerators.seam import (
    INPUT,
    OUTPUT,
    WEIGHT,
    Buffer,
    Datapath,
    Int,
    Logic,
    Orientation,
    Tile,
    TileCost,
    ceil_div,
)
from bitsim.hardware.schema import FixedPrecision, MachineConfig, Storage
from bitsim.technology import logic
from bitsim.workload import Product


class Config(OperandBuffers):
    """Keys of a weight-stationary machine file."""

    storage: Storage = Storage(dram="unit", buffers="unit")
    precision: FixedPrecision
    weight_planes: Literal[1, 2] = 2


@dataclass(frozen=True)
class Folds:
    """How a tile runs: `count` folds of `stream_cycles` inputs each.

    column_groups: folds beside one another, for the same reduction; visits: folds that add to one output.
    column_steps: inputs that pass a column with an output, over all columns and folds.
    """

    count: Int
    stream_cycles: Int
    column_groups: Int
    visits: Int
    column_steps: Int


class Accelerator(ColumnArray):
    """N x M multipliers, a weight bank and an accumulator bank a column, an input bank a row.

    The buffer of weights feeds the chains: normal holds the weight operand, swapped the input operand.
    """

    config_model: ClassVar[type[MachineConfig]] = Config
    config: Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.bits = config.precision.bits
        self.unit_widths = self.bits, self.bits

    def buffers(self) -> tuple[Buffer, ...]:
        units = self.rows * self.cols
        registers_bits = self.config.weight_planes * units * self.bits
        planes = Buffer("weight_planes", registers_bits, 0, units, self.bits, register_file=True)
        return (*self.operand_buffers(self.cols, self.rows, self.cols), planes)

    @property
    def peak_bit_products_per_cycle(self) -> int:
        return self.rows * self.cols * self.bits**2

    def slices(self, bits: int) -> tuple[int, int]:
        return self.in_passes(bits, self.bits)

    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        normal = orientation.name == NORMAL
        if product.writes_filter:
            return {"outputs": self.cols} if normal else {"channels": self.cols}
        return {"channels": self.rows, "outputs": self.cols if normal else 1}

    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Int]:
        """The held operand is spread evenly over the M columns' banks, the streamed one over the N rows'."""
        normal = orientation.name == NORMAL
        pixels = tile.batch * tile.input_rows * tile.input_cols

        def by_rows(size: Int) -> Int:
            return ceil_div(size, self.rows) * self.rows

        def by_cols(size: Int) -> Int:
            return ceil_div(size, self.cols) * self.cols

        if tile.writes_filter and normal:
            input_words, weight_words = by_rows(pixels) * tile.channels, tile.positions * by_cols(tile.outputs)
            output_words = by_cols(tile.outputs) * tile.channels * tile.taps
        elif tile.writes_filter:
            input_words, weight_words = pixels * by_cols(tile.channels), by_rows(tile.positions) * tile.outputs
            output_words = by_cols(tile.channels) * tile.outputs * tile.taps
        elif normal:
            input_words = pixels * by_rows(tile.channels)
            weight_words = by_cols(tile.outputs) * tile.channels * tile.taps
            output_words = by_cols(tile.outputs) * tile.positions
        else:
            input_words, weight_words = by_cols(pixels) * tile.channels, tile.outputs * by_rows(tile.channels)
            output_words = by_cols(tile.positions) * tile.outputs
        return {
            INPUT: tile.groups * input_words * datapath.buffer_bits[0],
            WEIGHT: tile.groups * weight_words * datapath.buffer_bits[1],
            OUTPUT: tile.groups * output_words * datapath.accumulator_bits,
        }

    def folds(self, datapath: Datapath, orientation: Orientation, tile: Tile) -> Folds:
        """Folds of a tile; groups, columns, taps, the reduction and slices of the held operand make them."""
        normal = orientation.name == NORMAL
        if tile.writes_filter:
            reductions = ceil_div(tile.positions, self.rows)
            columns, held_taps = (tile.outputs, 1) if normal else (tile.channels, tile.taps)
            stream = tile.channels * tile.taps if normal else tile.outputs
        else:
            reductions, held_taps = tile.taps * ceil_div(tile.channels, self.rows), 1
            columns, stream = (tile.outputs, tile.positions) if normal else (tile.positions, tile.outputs)
        slices = datapath.weight_slices, datapath.input_slices
        held_slices, streamed_slices = slices if normal else slices[::-1]
        column_groups, visits = ceil_div(columns, self.cols), reductions * held_slices
        return Folds(
            count=tile.groups * column_groups * held_taps * visits,
            stream_cycles=stream * streamed_slices,
            column_groups=column_groups,
            visits=visits,
            column_steps=tile.groups * columns * held_taps * visits * stream * streamed_slices,
        )

    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileCost:
        """Issue, drain and accesses of a tile (module docstring)."""
        folds = self.folds(datapath, orientation, tile)
        issue_cycles, since_last_input = self.issue_cycles(folds)
        computes = int(tile.taps > 0)
        outputs_bits = tile.words(OUTPUT) * datapath.accumulator_bits
        # Of each register in a fill: along the chain, then into the plane.
        moves = self.rows + self.config.weight_planes - 1
        products = tile.groups * tile.outputs * tile.channels
        per_tile, per_tap = self._reads(datapath, orientation, tile, folds)
        per_tile |= {
            "output_buffer_write_bits": folds.visits * outputs_bits,
            "output_buffer_read_bits": (folds.visits - 1) * outputs_bits,
            "column_steps": folds.column_steps * computes,
            "accumulated_bits": folds.column_steps * computes * datapath.accumulator_bits,
            "weight_planes_write_bits": folds.count * moves * self.rows * self.cols * self.bits,
        }
        per_tap |= {"bit_products": products * datapath.input_hw_bits * datapath.weight_hw_bits}
        return TileCost(
            issue_cycles=issue_cycles * computes,
            drain_cycles=self.drain_cycles - since_last_input * computes,
            per_tile=per_tile,
            per_tap=per_tap,
        )

    def _reads(
        self, datapath: Datapath, orientation: Orientation, tile: Tile, folds: Folds
    ) -> tuple[dict[str, Int], dict[str, Int]]:
        """Bits read of both operands, (per tile, per real tap): by real taps where they may lie in the padding.

        Held words are read once, streamed ones once a column group and slice of the held operand.
        """
        input_bits, weight_bits = datapath.buffer_bits
        inputs, weights = (f"{orientation.holds[role]}_read_bits" for role in (INPUT, WEIGHT))
        if orientation.name == NORMAL:
            streamed = tile.groups * tile.channels * folds.column_groups * datapath.weight_slices
            return {weights: tile.words(WEIGHT) * weight_bits}, {inputs: streamed * input_bits}
        again = folds.column_groups * datapath.input_slices
        if tile.writes_filter:
            held, streamed = tile.groups * tile.channels, tile.groups * tile.outputs * again
            return {}, {inputs: held * input_bits, weights: streamed * weight_bits}
        return {inputs: tile.words(INPUT) * input_bits, weights: tile.words(WEIGHT) * again * weight_bits}, {}

    def issue_cycles(self, folds: Folds) -> tuple[Int, Int]:
        """(issue cycles of a tile, those of them after its last input entered row 0)."""
        rows, stream = self.rows, folds.stream_cycles
        way = (rows - 1) * (1 + self.config.microarchitecture.unit_pipeline_cycles)
        if self.config.weight_planes == 1:
            after = max(way - 1, 0)
            return rows + (folds.count - 1) * (rows + stream + way - 1) + stream + after, after
        last = np.maximum(stream, way)
        return rows + (folds.count - 1) * np.maximum(stream, way + rows) + last, last - stream

    def logic(self) -> tuple[Logic, ...]:
        unit = logic.unit_price(self.bits, self.bits)
        return (Logic("mac_unit", self.rows * self.cols, unit.area_mm2, unit.source),)
