"""Bit-flexible systolic array (BitFusion, Sharma et al., ISCA 2018).

Assumptions (docs/microarchitecture.md has all of them with reasons)
    - A fusion unit of max_bits x max_bits splits into (max/a)(max/w) lanes of a x w bits, all of
      them widening the reduction (Sec. III); columns stay M.
    - Fixed units are the case min_bits = max_bits: one lane a unit, every operand at that width.
    - Bricks (min_bits x min_bits) fuse to powers of two. `precision.fusion: bricks` runs operands of up to
      max_bits at whole bricks (6 bits on 3, not 4): bricks a lane leaves idle are gated, lanes are as many
      as before. `shared-bricks` makes lanes of them too, of all bricks in a column: their products are
      shifted and added to the column's sum, whichever unit they are in. What brings operands to bricks of
      a neighbour is not in the synthesis table: energy and area are then lower bounds.
    - Forward and dgrad pack lanes with channels tap by tap; wgrad with positions of the tile. Both of its
      operands are read packed along that axis: whoever wrote them stored them in this form too, once.
    - Array energy has three parts (docs/energy.md). Lanes pay for bit products really multiplied: idle
      lanes and taps in the padding are gated. A column at work pays in each issue cycle for the partial
      sum that all its N units pass on, filled or not, and for its accumulator, by its width. Units of
      columns without an output pay leakage only: the synthesis table has no clock power of its own.
    - The synthesis table has one row for all precisions: what a unit takes beside passing sums on is
      shared evenly by its max_bits² bit products, so that a full array takes the published energy.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from bitsim.accelerators.operand_buffers import NORMAL, SWAPPED, ColumnArray, OperandBuffers
from bitsim.accelerators.seam import (
    INPUT,
    OUTPUT,
    WEIGHT,
    Buffer,
    Datapath,
    Logic,
    Orientation,
    Tile,
    TileCost,
    TileTime,
    ceil_div,
)
from bitsim.analytical import bitfusion_isca18, isca18_row
from bitsim.analytical.cost import AnalyticalCost, unsaid
from bitsim.errors import InputError
from bitsim.hardware.schema import MachineConfig, Section, WidthOrError
from bitsim.technology import logic
from bitsim.workload import FORWARD, Layer, Product, Widths


class Precision(Section):
    """Widths a unit fuses to: powers of two from min_bits to max_bits, or whole bricks of min_bits."""

    min_bits: Annotated[int, Field(strict=True, ge=1, le=16)]
    max_bits: Annotated[int, Field(strict=True, ge=1, le=16)]
    fusion: Literal["powers-of-two", "bricks", "shared-bricks"] = "powers-of-two"
    wider: Literal["passes", "error"] = "passes"
    float: WidthOrError = 16

    @model_validator(mode="after")
    def _powers_of_two(self) -> Precision:
        for bits in (self.min_bits, self.max_bits):
            if bits & (bits - 1):
                raise ValueError(f"{bits} is not a power of two, allowed 1, 2, 4, 8, 16")
        if self.min_bits > self.max_bits:
            raise ValueError(f"min_bits {self.min_bits} is above max_bits {self.max_bits}")
        return self


class Config(OperandBuffers):
    """Keys of a bit-flexible machine file."""

    precision: Precision
    lane_packing: Literal["per-tap", "flattened"] = "per-tap"


class Accelerator(ColumnArray):
    """N x M fusion units with a weight bank each, an input bank a row, an output bank a column."""

    config_model: ClassVar[type[MachineConfig]] = Config
    analytical_passes = (FORWARD,)
    axes_alike = True
    config: Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.max_bits, self.min_bits = self.unit_widths = config.precision.max_bits, config.precision.min_bits
        self.fusion, self.flattens = config.precision.fusion, config.lane_packing == "flattened"
        # How often an operand of each width goes into that of a whole unit.
        self.beside = {bits: self.max_bits // _power_of_two(bits) for bits in range(1, self.max_bits + 1)}

    def buffers(self) -> tuple[Buffer, ...]:
        return self.operand_buffers(self.rows * self.cols, self.rows, self.cols)

    @property
    def peak_bit_products_per_cycle(self) -> int:
        return self.rows * self.cols * self.max_bits**2

    def slices(self, bits: int) -> tuple[int, int]:
        if bits > self.max_bits:
            return self.in_passes(bits, self.max_bits)
        if self.fusion == "powers-of-two":
            return max(self.min_bits, _power_of_two(bits)), 1
        return ceil_div(bits, self.min_bits) * self.min_bits, 1

    def lanes(self, datapath: Datapath) -> int:
        """Products of one column in one cycle: rows x fusion lanes (ISCA 2018, Sec. III), or of shared bricks."""
        input_bits, weight_bits = datapath.input_unit_bits, datapath.weight_unit_bits
        if self.fusion == "shared-bricks":
            return self.rows * self.max_bits**2 // (input_bits * weight_bits)
        return self.rows * self.beside[input_bits] * self.beside[weight_bits]

    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        lanes = self.lanes(datapath)
        if product.writes_filter:
            return {"outputs": self.cols} if orientation.name == NORMAL else {"channels": self.cols}
        if self._flattened(product):
            return {"outputs": self.cols}
        return {"channels": lanes, "outputs": self.cols if orientation.name == NORMAL else 1}

    def _flattened(self, product: Product) -> bool:
        return self.flattens and not product.writes_filter and product.taps > 1

    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Any]:
        """Operands spread evenly over the N rows' banks, outputs over the M columns' (point 18)."""
        rows, pixels = self.rows, tile.batch * tile.input_rows * tile.input_cols
        # Words are products of two factors, where the tile stands and how deep it is: a search asks for a grid of both.
        if tile.writes_filter:  # positions are the reduction
            spots = ceil_div(pixels, rows) * rows, ceil_div(tile.positions, rows) * rows
            depths = tile.channels, tile.outputs
        else:
            flattened = self._flattened(product)
            channels = tile.channels * tile.taps if flattened else tile.channels
            padded = ceil_div(channels, rows) * rows
            spots = tile.positions if flattened else pixels, 1
            depths = padded, tile.outputs * padded * (1 if flattened else tile.taps)
        column_dim, stream = self._columns(orientation, tile)
        column_words = ceil_div(column_dim, self.cols) * self.cols
        return {
            INPUT: spots[0] * (tile.groups * datapath.buffer_bits[0] * depths[0]),
            WEIGHT: spots[1] * (tile.groups * datapath.buffer_bits[1] * depths[1]),
            OUTPUT: stream * (tile.groups * datapath.accumulator_bits * column_words),
        }

    def _columns(self, orientation: Orientation, tile: Tile) -> tuple[Any, Any]:
        """(what is spread over columns, what streams past them)."""
        normal = orientation.name == NORMAL
        if tile.writes_filter:
            return (tile.outputs, tile.channels * tile.taps) if normal else (tile.channels, tile.outputs * tile.taps)
        return (tile.outputs, tile.positions) if normal else (tile.positions, tile.outputs)

    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileCost:
        """Issue, drain and accesses of a tile (docs/microarchitecture.md, counts of one tile)."""
        groups, flattened = tile.groups, self._flattened(product)
        column_dim, stream = self._columns(orientation, tile)
        column_groups = ceil_div(column_dim, self.cols)
        of_column_group = groups * datapath.passes * (stream * self._steps(product, datapath, tile))
        column_steps = of_column_group * column_dim  # groups of columns step together
        # Reads for each real (position, tap): the streamed operand once a column group, the other once a
        # product; once more for each slice of the other operand, since every pass reads its slices anew.
        products = tile.outputs * tile.channels
        if orientation.name == NORMAL:
            input_reads, weight_reads = tile.channels * column_groups, products
        elif tile.writes_filter:
            input_reads, weight_reads = products, tile.outputs * column_groups
        else:
            input_reads, weight_reads = products, 0  # streamed once a column group: counted by tile below
        held = orientation.holds
        input_bits = groups * datapath.buffer_bits[0] * datapath.weight_slices
        weight_bits = groups * datapath.buffer_bits[1] * datapath.input_slices
        per_tap = {
            f"{held[INPUT]}_read_bits": input_bits * input_reads,
            f"{held[WEIGHT]}_read_bits": weight_bits * weight_reads,
            "bit_products": groups * datapath.input_hw_bits * datapath.weight_hw_bits * products,
        }
        per_tile = {
            "output_buffer_write_bits": groups * datapath.accumulator_bits * (column_dim * stream),
            "column_steps": column_steps,
            "accumulated_bits": column_steps * datapath.accumulator_bits,
        }
        if orientation.name == SWAPPED and not tile.writes_filter:
            per_tile[f"{held[WEIGHT]}_read_bits"] = weight_bits * (products * column_groups)
        return TileCost(
            issue_cycles=of_column_group * column_groups,
            drain_cycles=self.drain_cycles,
            per_tile=per_tile,
            per_tap=per_tap,
            load_words={INPUT: groups * tile.positions * tile.channels * tile.taps} if flattened else {},
        )

    def tile_time(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileTime:
        steps, (column_dim, stream) = self._steps(product, datapath, tile), self._columns(orientation, tile)
        column_groups, each = ceil_div(column_dim, self.cols), tile.groups * datapath.passes
        # Two factors again, as in footprint_bits: what streams passes every column group.
        if tile.writes_filter:
            issue = steps * (each * (column_groups * stream))
        elif orientation.name == NORMAL:
            issue = stream * (each * (column_groups * steps))
        else:
            issue = column_groups * (each * (stream * steps))
        return TileTime(issue_cycles=issue, drain_cycles=self.drain_cycles)

    def _steps(self, product: Product, datapath: Datapath, tile: Tile) -> Any:
        """Issue steps of one output in one pass: its reduction in whole lanes."""
        lanes = self.lanes(datapath)
        if tile.writes_filter:
            return ceil_div(tile.positions, lanes)
        if self._flattened(product):
            return ceil_div(tile.channels * tile.taps, lanes)
        return tile.taps * ceil_div(tile.channels, lanes)

    def array_loops(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> tuple[tuple[str, int], ...]:
        """The address counters of docs/microarchitecture.md; their product is the issue cycles of the tile."""
        normal, steps = orientation.name == NORMAL, self._steps(product, datapath, tile)
        column_dim, _ = self._columns(orientation, tile)
        if tile.writes_filter:
            columns, streamed = (
                ("outputs", ("channels", tile.channels)) if normal else ("channels", ("outputs", tile.outputs))
            )
            reduction = [("taps", tile.taps), ("steps over positions", steps)]
        else:
            columns, streamed = (
                ("outputs", ("positions", tile.positions)) if normal else ("positions", ("outputs", tile.outputs))
            )
            taps = tile.taps if tile.taps and not self._flattened(product) else 1
            over = "channels and taps" if self._flattened(product) else "channels"
            reduction = [("taps", taps), (f"steps over {over}", steps // taps)]
        return (
            ("groups", tile.groups),
            (f"groups of {self.cols} {columns}", ceil_div(column_dim, self.cols)),
            streamed,
            *reduction,
            ("input slices", datapath.input_slices),
            ("weight slices", datapath.weight_slices),
        )

    def analytical_cost(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> AnalyticalCost:
        """The model behind the numbers of ISCA 2018: forward passes of square convolutions and linear layers.

        A convolution whose input needs no gradient reads the network's input, and runs as im2col.
        """
        faults = list(unsaid(layer))
        if self.fusion != "powers-of-two":
            faults.append(f"precision.fusion: {self.fusion} is not said by the model, allowed: powers-of-two")
        input_bits, weight_bits = (self._float(bits) for bits in (widths.activation_bits, widths.weight_bits))
        if max(input_bits, weight_bits) > self.max_bits:
            faults.append(
                f"precision: {max(input_bits, weight_bits)} bits, but the model has no passes for wider operands, "
                f"allowed: up to {self.max_bits}, for float layers by precision.float={self.max_bits}"
            )
        if faults:
            raise InputError(faults)
        conv = layer.kind == "conv"
        row = isca18_row.Row(
            kernel=layer.kernel_h,
            out_size=layer.out_h if conv else 1,
            stride=layer.stride_h,
            in_channels=layer.in_channels,
            out_channels=layer.out_channels,
            batch=samples if conv else samples * layer.rows,
            input_bits=input_bits,
            weight_bits=weight_bits,
            im2col=int(conv and layer.needs_dgrad == "false"),
            rows=self.rows,
            cols=self.cols,
            max_bits=self.max_bits,
            min_bits=self.min_bits,
            weight_buffer_bytes=self.config.weight_buffer // 8,
            input_buffer_bytes=self.config.input_buffer // 8,
            output_buffer_bytes=self.config.output_buffer // 8,
            port_bits_per_cycle=int(self.config.memory.rate_bits_per_cycle(self.config.clock)),
        )
        found = bitfusion_isca18.layer(row)
        moved = {name: int(found[name]) for name in bitfusion_isca18.COUNTERS if name.endswith("_bits")}
        energy_pj = {f"{buffer.name}_pj": found[f"{buffer.name}_nj"] * 1e3 for buffer in self.buffers()}
        energy_pj |= {"array_pj": found["core_nj"] * 1e3, "dram_pj": found["dram_nj"] * 1e3}
        return AnalyticalCost(
            compute_cycles=int(found["compute_cycles"]),
            wait_cycles=int(found["memory_wait_cycles"]),
            input_hw_bits=self.slices(input_bits)[0],
            weight_hw_bits=self.slices(weight_bits)[0],
            output_bits=isca18_row.OUTPUT_BITS,
            counters=moved | {"tiles": int(found["tiles"])},
            energy_pj=energy_pj,
            source="released simulator of BitFusion (ISCA 2018)",
        )

    def logic(self) -> tuple[Logic, ...]:
        unit = logic.unit_price(self.max_bits, self.min_bits)
        marks = ("lower bound: bricks shared without their wiring",) if self.fusion == "shared-bricks" else ()
        return (Logic("fusion_unit", self.rows * self.cols, unit.area_mm2, unit.source, marks),)


def _power_of_two(bits: int) -> int:
    """The least power of two that is not below `bits`."""
    return 1 << (bits - 1).bit_length()
