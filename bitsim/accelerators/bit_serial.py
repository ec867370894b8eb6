"""Bit-serial arrays: of activations (after Stripes: Judd et al., MICRO 2016), or of both operands (after Loom:
Sharify et al., DAC 2018).  One structure, so one file: `precision.serial` says what goes bit by bit.

W rows x M columns of serial inner-product units of L lanes.  A row works on one window (output
position), a column on one filter (output), the lanes on channels; all take the same step of the
reduction at once.  In a step of L products
    - `serial: input`: the input words of the W windows pass bit by bit (`input_bits_per_cycle` at a
      time), M x L weight words stand in parallel at `weight_bits`: a step takes as many cycles as
      the input has bits, for each slice of the weight word.  16 bits / p bits faster than bit-parallel.
    - `serial: both`: one bit of the weight words stands while all bits of the input pass: a step takes
      input bits x weight bits cycles.  256 / (input bits x weight bits) faster than bit-parallel at 16 x 16.

One tile issues g ceil(n/M) ceil(P/W) K ceil(c/L) steps (wgrad: g ceil(n/M) ceil(c K/W) ceil(P/L), windows being
the filter's input channels and taps, lanes positions), outputs outermost, each block of W x M sums to its end.
A sum is visible W + 1 + unit_pipeline_cycles + sram_read_cycles after its last issue cycle at the latest: the
rows' sums leave one window a cycle, M words wide, beside the next block.

Assumptions
    - Any width up to `max_bits` runs at its own bits, with no rounding to powers of two; wider ones in slices.
    - Words lie in the buffers in bricks of L lanes, bit by bit at no more than their own bits; the
      reduction is padded to whole bricks, so both operands of wgrad are stored a second time.  Output
      words are dealt to the banks in turn.
    - Input bricks are read once a group of M outputs and each time the bits pass (every weight bit when both
      are serial); weight words once a group of W windows.  Windows share no read of pixels they have in common.
    - A block shorter than W cycles would need a wider way out than M words a cycle: taken to be there.
    - No window is ever waited for: the papers' modes for fully connected layers of a batch of one, and
      widths trimmed at run time for each group of values, are not modelled.
    - Only cycles are held to the papers.  Prices are an estimate: a bit product costs 1/64 of a synthesised 8 x 8 bit
      unit, as a serial unit is the same array of AND gates over an adder tree.  Check: 32,768 of them take 1.35
      times the power of 128 16 x 16 bit units of the same table; Loom reports 1.24 (4.38 times the speed at 3.54
      times the efficiency, memories included).  The printed band is 0.5x to 2x.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from bitsim.accelerators.operand_buffers import HOLDS, NORMAL, OperandBufferArray, OperandBuffers
from bitsim.accelerators.seam import (
    INPUT,
    OUTPUT,
    WEIGHT,
    ArrayPrices,
    Buffer,
    Datapath,
    Int,
    Logic,
    Orientation,
    Tile,
    TileCost,
    UnitEvent,
    ceil_div,
)
from bitsim.hardware.schema import MachineConfig, Section, WidthOrError
from bitsim.technology import logic
from bitsim.technology.logic import LogicPrice
from bitsim.workload import Product

PRICED_AS_BITS = 8
BAND = (0.5, 2.0)


class Precision(Section):
    """What is serial, and the widths of what is not."""

    serial: Literal["input", "both"]
    weight_bits: Literal[2, 4, 8, 16] | None = None
    input_bits_per_cycle: Literal[1, 2, 4] = 1
    max_bits: Annotated[int, Field(strict=True, ge=4, le=16)] = 16
    wider: Literal["passes", "error"] = "passes"
    float: WidthOrError = 16

    @model_validator(mode="after")
    def _parallel_weights_have_a_width(self) -> Precision:
        if (self.serial == "input") != (self.weight_bits is not None):
            raise ValueError(
                "weight_bits is the width of parallel weights: allowed with serial: input, and needed there"
            )
        if self.max_bits % self.input_bits_per_cycle:
            raise ValueError(
                f"max_bits {self.max_bits} is no multiple of input_bits_per_cycle {self.input_bits_per_cycle}"
            )
        return self


class Config(OperandBuffers):
    """Keys of a bit-serial machine file.  array: rows of windows, cols of filters."""

    precision: Precision
    lanes: Annotated[int, Field(strict=True, ge=1, le=256)] = 16


class Accelerator(OperandBufferArray):
    """W x M serial units of L lanes, an input bank a row, a weight bank and an output bank a column."""

    config_model: ClassVar[type[MachineConfig]] = Config
    config: Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.windows, self.cols, self.lanes = config.array.rows, config.array.cols, config.lanes
        self.precision = config.precision

    def buffers(self) -> tuple[Buffer, ...]:
        return self.operand_buffers(self.cols, self.windows, self.cols)

    @property
    def peak_bit_products_per_cycle(self) -> int:
        bits = self.precision.input_bits_per_cycle * (self.precision.weight_bits or 1)
        return self.windows * self.cols * self.lanes * bits

    def slices(self, bits: int) -> tuple[int, int]:
        """Of a serial input: its own bits, rounded up to those that pass in a cycle."""
        return self._serial(bits, self.precision.input_bits_per_cycle)

    def slices_of(self, role: str, bits: int) -> tuple[int, int]:
        if role != WEIGHT:
            return self.slices(bits)
        width = self.precision.weight_bits
        if width is None:
            return self._serial(bits, 1)
        return self.in_passes(bits, width)

    def _serial(self, bits: int, at_once: int) -> tuple[int, int]:
        if bits > self.precision.max_bits:
            return self.in_passes(bits, self.precision.max_bits)
        return ceil_div(bits, at_once) * at_once, 1

    def orientations(self, product: Product) -> tuple[Orientation, ...]:
        return (Orientation(NORMAL, HOLDS[NORMAL]),)

    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        return {"outputs": self.cols} if product.writes_filter else {"channels": self.lanes, "outputs": self.cols}

    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Int]:
        """The reduction of both operands is padded to whole bricks of L lanes."""
        pixels = tile.batch * tile.input_rows * tile.input_cols
        if tile.writes_filter:
            input_words = self._in_bricks(pixels) * tile.channels
            weight_words = self._in_bricks(tile.positions) * tile.outputs
        else:
            input_words = pixels * self._in_bricks(tile.channels)
            weight_words = tile.outputs * tile.taps * self._in_bricks(tile.channels)
        return {
            INPUT: tile.groups * input_words * datapath.buffer_bits[0],
            WEIGHT: tile.groups * weight_words * datapath.buffer_bits[1],
            OUTPUT: tile.words(OUTPUT) * datapath.accumulator_bits,
        }

    def _in_bricks(self, size: Int) -> Int:
        return ceil_div(size, self.lanes) * self.lanes

    def weight_turns(self, datapath: Datapath) -> int:
        """How often all bits of an input word pass in one product: for each weight bit, or weight slice."""
        return datapath.weight_slices if self.precision.weight_bits else datapath.weight_hw_bits

    def step_cycles(self, datapath: Datapath) -> int:
        """Cycles of L products in every unit."""
        return datapath.input_hw_bits // self.precision.input_bits_per_cycle * self.weight_turns(datapath)

    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileCost:
        """Issue, drain and accesses of a tile (module docstring)."""
        if tile.writes_filter:
            windows, reduction = tile.channels * tile.taps, ceil_div(tile.positions, self.lanes)
        else:
            windows, reduction = tile.positions, tile.taps * ceil_div(tile.channels, self.lanes)
        output_groups, window_groups = ceil_div(tile.outputs, self.cols), ceil_div(windows, self.windows)
        (input_bits, weight_bits), turns = datapath.buffer_bits, self.weight_turns(datapath)
        products = tile.groups * tile.outputs * tile.channels
        depth = self.config.microarchitecture
        return TileCost(
            issue_cycles=tile.groups * output_groups * window_groups * reduction * self.step_cycles(datapath),
            drain_cycles=self.windows + 1 + depth.unit_pipeline_cycles + depth.sram_read_cycles,
            per_tile={
                "weight_buffer_read_bits": tile.words(WEIGHT) * window_groups * weight_bits,
                "output_buffer_write_bits": tile.words(OUTPUT) * datapath.accumulator_bits,
            },
            per_tap={
                "input_buffer_read_bits": tile.groups * tile.channels * output_groups * turns * input_bits,
                "bit_products": products * datapath.input_hw_bits * datapath.weight_hw_bits,
            },
        )

    def array_prices(self) -> ArrayPrices:
        unit = self._bit_product()
        return ArrayPrices(
            events=(UnitEvent("bit_products", unit.active_pj_per_cycle, unit.source),),
            leakage_mw=unit.leakage_mw * self.peak_bit_products_per_cycle,
            source=unit.source,
            band=BAND,
        )

    def logic(self) -> tuple[Logic, ...]:
        unit, units = self._bit_product(), self.windows * self.cols
        each_mm2 = unit.area_mm2 * self.peak_bit_products_per_cycle / units
        return (Logic("serial_unit", units, each_mm2, unit.source, (f"estimate, {BAND[0]:g}x to {BAND[1]:g}x",)),)

    def _bit_product(self) -> LogicPrice:
        """Price of the part of a unit that takes one bit product a cycle."""
        unit, share = logic.unit_price(PRICED_AS_BITS, PRICED_AS_BITS), PRICED_AS_BITS**2
        return LogicPrice(
            unit.active_pj_per_cycle / share,
            unit.leakage_mw / share,
            unit.area_mm2 / share,
            f"estimate, {BAND[0]:g}x to {BAND[1]:g}x: a bit product as 1/{share} of {unit.source}",
        )
