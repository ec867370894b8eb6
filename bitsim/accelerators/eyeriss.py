"""Row-stationary integer machine (Eyeriss: Chen et al., ISCA 2016; JSSC 2017).

Assumptions (docs/microarchitecture.md, section 3, has all of them with reasons)
    - A logical set of R x E PEs holds R filter rows and E output rows; a PE slides one filter row
      over one input row. Sets are folded onto the array and replicated over it; vertical replicas
      first hold segments of E, then input channels or outputs (JSSC 2017, Sec. IV.A).
    - wgrad is the same convolution with the output gradient as its filter: its rows and columns are
      the filter's, kernel rows and columns the output's, and the batch is reduced over. Filter rows
      wider than the input spad are cut into pieces, whose partial sums go through the global buffer.
    - Register blocking (p outputs, q channels interleaved in a PE) is chosen here, for least cycles,
      then least global-buffer traffic.
    - Three multicast networks run beside the PEs; a tile takes as long as the slowest of PEs and
      networks, after the weights of its first pass have arrived.
    - PEs multiply at one width. A MAC whose input is padding is gated; its cycle is not.
    - Sets of different groups (depthwise) may stand side by side where replicas are left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bitsim.accelerators.seam import (
    INPUT,
    OUTPUT,
    WEIGHT,
    ArrayPrices,
    Buffer,
    Datapath,
    Orientation,
    Tile,
    TileCost,
    UnitEvent,
    ceil_div,
)
from bitsim.accelerators.seam import Accelerator as Seam
from bitsim.errors import InputError
from bitsim.hardware.schema import MachineConfig, Section, SizeBits, Storage, WidthOrError, Words
from bitsim.technology import logic
from bitsim.workload import Product

# A word from PE to PE costs two MACs (ISCA 2016, Table IV's energy ladder 1, 2, 6, 200).
NETWORK_WORD_IN_MACS = 2.0

Positive = Annotated[int, Field(strict=True, ge=1, le=1024)]


class Precision(Section):
    """The one width of the datapath."""

    bits: Literal[2, 4, 8, 16]
    wider: Literal["passes", "error"] = "passes"
    float: WidthOrError = 16


class Networks(Section):
    """Words a cycle of each network (JSSC 2017: 64-bit buses for filters and psums, 16-bit for inputs)."""

    input_words_per_cycle: Positive = 1
    weight_words_per_cycle: Positive = 4
    psum_words_per_cycle: Positive = 4


class Config(MachineConfig):
    """Keys of a row-stationary machine file."""

    storage: Storage = Storage(dram="unit", buffers="unit")
    precision: Precision
    global_buffer: SizeBits
    filter_buffer: SizeBits
    global_buffer_banks: Positive = 25
    filter_buffer_banks: Positive = 2
    buffer_access_bits: Literal[8, 16, 32, 64, 128, 256] = 64
    input_spad: Words
    weight_spad: Words
    psum_spad: Words
    networks: Networks = Networks()


@dataclass(frozen=True)
class Fold:
    """A set of R x E rows on the array: folds, segments and replicas (each int or array)."""

    height_folds: Any
    segments: Any
    replicas_vertical: Any
    replicas_horizontal: Any
    active_pes: Any


def fold_and_replicate(filter_rows: Any, output_rows: Any, array_rows: int, array_cols: int) -> Fold:
    """Fold a set of `filter_rows` x `output_rows` onto an array, and replicate it where it is smaller.

    active_pes: most PEs working in one pass when every replica is used (JSSC 2017, Table V).
    """
    filter_rows, output_rows = np.maximum(filter_rows, 1), np.maximum(output_rows, 1)
    height_folds = ceil_div(filter_rows, array_rows)
    vertical = np.maximum(array_rows // filter_rows, 1)
    segments = ceil_div(output_rows, array_cols)
    horizontal = np.maximum(array_cols // output_rows, 1)
    held = np.minimum(vertical, segments)
    segments, vertical = ceil_div(segments, held), vertical // held
    rows_at_once = ceil_div(output_rows, segments)
    active = ceil_div(filter_rows, height_folds) * rows_at_once * vertical * horizontal
    return Fold(height_folds, segments, vertical, horizontal, np.minimum(active, array_rows * array_cols))


@dataclass(frozen=True)
class Shape:
    """A tile in the terms of row stationary: images, C input channels, M outputs, R x S filter, E x F output."""

    images: Any
    channels: Any
    outputs: Any
    filter_rows: Any
    filter_cols: Any
    output_rows: Any
    output_cols: Any


class Accelerator(Seam):
    """Ph x Pw PEs with three spads each, a global buffer for inputs and psums, a filter buffer."""

    config_model: ClassVar[type[MachineConfig]] = Config
    config: Config

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.rows, self.cols = config.array.rows, config.array.cols
        self.bits = config.precision.bits

    def buffers(self) -> tuple[Buffer, ...]:
        config, pes = self.config, self.rows * self.cols
        spads = (
            ("input_spad", config.input_spad, self.bits),
            ("weight_spad", config.weight_spad, self.bits),
            ("psum_spad", config.psum_spad, config.accumulator.bits),
        )
        access = config.buffer_access_bits
        return (
            Buffer("global_buffer", config.global_buffer, 2, config.global_buffer_banks, access),
            Buffer("filter_buffer", config.filter_buffer, 2, config.filter_buffer_banks, access),
            *(Buffer(name, words * bits * pes, 0, pes, bits, register_file=True) for name, words, bits in spads),
        )

    @property
    def peak_bit_products_per_cycle(self) -> int:
        return self.rows * self.cols * self.bits**2

    @property
    def accumulators(self) -> int:
        return int(self.config.networks.psum_words_per_cycle)

    def slices(self, bits: int) -> tuple[int, int]:
        if bits > self.bits and self.config.precision.wider == "error":
            raise InputError(f"precision.wider: error refuses {bits} bits; allowed: up to {self.bits}, or passes")
        return self.bits, ceil_div(bits, self.bits)

    def orientations(self, product: Product) -> tuple[Orientation, ...]:
        holds = {INPUT: "global_buffer", WEIGHT: "filter_buffer", OUTPUT: "global_buffer"}
        return (Orientation("row-stationary", holds),)

    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        return {}

    def shape(self, tile: Tile) -> Shape:
        """The tile as a row-stationary convolution; wgrad has the output gradient as its filter."""
        if tile.writes_filter:
            return Shape(tile.channels, tile.batch, tile.outputs, tile.rows, tile.cols, tile.row_taps, tile.col_taps)
        return Shape(tile.batch, tile.channels, tile.outputs, tile.row_taps, tile.col_taps, tile.rows, tile.cols)

    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Any]:
        widths = {INPUT: datapath.buffer_bits[0], WEIGHT: datapath.buffer_bits[1], OUTPUT: datapath.accumulator_bits}
        return {role: tile.words(role) * bits for role, bits in widths.items()}

    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileCost:
        """Cycles, footprints and accesses of a tile, at the register blocking with the fewest cycles."""
        shape = self.shape(tile)
        fold = fold_and_replicate(shape.filter_rows, shape.output_rows, self.rows, self.cols)
        best: dict[str, Any] | None = None
        for divisor in range(1, self.rows + 1):
            if not np.any(fold.replicas_vertical % divisor == 0):
                continue
            for most_channels in (False, True):
                blocking = self._blocking(datapath, tile, shape, fold, divisor, most_channels)
                best = blocking if best is None else _better(best, blocking)
        assert best is not None
        words = {role: tile.words(role) for role in (INPUT, WEIGHT, OUTPUT)}
        psum_bits, buffer_bits = datapath.accumulator_bits, datapath.buffer_bits
        products = tile.groups * tile.outputs * tile.channels
        slices = (datapath.weight_slices, datapath.input_slices)
        per_tile = {
            "global_buffer_read_bits": best["input_words"] * buffer_bits[0] * slices[0]
            + (best["psum_rounds"] - 1) * words[OUTPUT] * psum_bits,
            "global_buffer_write_bits": best["psum_rounds"] * words[OUTPUT] * psum_bits,
            "filter_buffer_read_bits": words[WEIGHT] * buffer_bits[1] * slices[1],
            "input_spad_write_bits": best["input_copies"] * buffer_bits[0] * slices[0],
            "weight_spad_write_bits": best["weight_copies"] * buffer_bits[1] * slices[1],
            "network_words": best["input_copies"] + best["weight_copies"] + best["psum_hops"],
        }
        per_tap = {
            "macs": products * datapath.passes,
            "input_spad_read_bits": products * buffer_bits[0] * slices[0],
            "weight_spad_read_bits": products * buffer_bits[1] * slices[1],
            "psum_spad_read_bits": products * psum_bits * datapath.passes,
            "psum_spad_write_bits": products * psum_bits * datapath.passes,
        }
        return TileCost(
            issue_cycles=best["cycles"],
            drain_cycles=self.rows + 2,
            per_tile=per_tile,
            per_tap=per_tap,
        )

    def mac_cycles(self, shape: Shape, fold: Fold, groups: Any, channel_sets: Any) -> Any:
        """Cycles the PEs need: ceil(C/ifm)·ceil(M/ofm)·N·fw·fh·S·F (the published fold-and-replicate count).

        channel_sets: vertical replicas given to input channels, a divisor of all of them.
        """
        output_sets = fold.replicas_vertical // channel_sets * fold.replicas_horizontal
        at_once = np.minimum(channel_sets, shape.channels), np.minimum(output_sets, shape.outputs)
        beside = np.maximum(channel_sets * output_sets // (at_once[0] * at_once[1]), 1)
        passes = ceil_div(groups, beside) * ceil_div(shape.channels, at_once[0]) * ceil_div(shape.outputs, at_once[1])
        return passes * shape.images * fold.segments * fold.height_folds * shape.filter_cols * shape.output_cols

    def _blocking(
        self, datapath: Datapath, tile: Tile, shape: Shape, fold: Fold, divisor: int, most_channels: bool
    ) -> dict[str, Any]:
        """Cycles and traffic with `divisor` vertical replicas on channels, and one or the most channels in a PE."""
        config, networks = self.config, self.config.networks
        channel_sets = np.where(fold.replicas_vertical % divisor == 0, divisor, 1)
        output_sets = fold.replicas_vertical // channel_sets * fold.replicas_horizontal
        pieces = ceil_div(shape.filter_cols, config.input_spad)
        piece_cols = np.maximum(ceil_div(shape.filter_cols, np.maximum(pieces, 1)), 1)
        fitting = np.maximum(np.minimum(config.input_spad, config.weight_spad) // piece_cols, 1)
        channels_in_pe = np.minimum(fitting, ceil_div(shape.channels, channel_sets)) if most_channels else 1
        psums = max(1, config.psum_spad // ceil_div(datapath.accumulator_bits, config.accumulator.bits))
        outputs_in_pe = np.minimum(psums, np.maximum(config.weight_spad // (channels_in_pe * piece_cols), 1))
        outputs_in_pe = np.minimum(outputs_in_pe, ceil_div(shape.outputs, output_sets))

        rounds = ceil_div(shape.outputs, outputs_in_pe * output_sets)  # times each input is sent
        psum_rounds = (
            ceil_div(shape.channels, channels_in_pe * channel_sets) * fold.height_folds * np.maximum(pieces, 1)
        )
        # Segments of E read the rows between them twice; each filter fold reads its inputs anew.
        halo = np.maximum(tile.input_rows * fold.segments - tile.input_rows, 0)
        overlap = (fold.segments - 1) * np.maximum(shape.filter_rows - tile.row_stride, 0)
        rows_read = tile.input_rows + (0 if tile.writes_filter else np.minimum(halo, overlap))
        maps = tile.groups * tile.batch * tile.channels
        input_words = maps * rows_read * tile.input_cols * fold.height_folds * rounds
        set_rows = shape.filter_rows * shape.output_rows
        # Sets of every output block get the input; a filter row stands in each column its set spans.
        output_blocks = ceil_div(shape.outputs, outputs_in_pe)
        input_copies = maps * tile.input_cols * set_rows * output_blocks
        spanned = ceil_div(shape.output_rows, fold.segments)
        weight_copies = tile.words(WEIGHT) * spanned
        output_words = tile.words(OUTPUT)
        psum_hops = output_words * psum_rounds * (ceil_div(shape.filter_rows, fold.height_folds) - 1)

        word = self.bits
        psum_words = ceil_div(datapath.accumulator_bits, word) * output_words * (2 * psum_rounds - 1)
        input_sent = input_words * datapath.input_slices * datapath.weight_slices
        weight_sent = tile.words(WEIGHT) * datapath.weight_slices * datapath.input_slices
        macs = self.mac_cycles(shape, fold, tile.groups, channel_sets) * datapath.passes
        # The weights of the first pass must stand in the spads before it starts; the rest arrive beside the MACs.
        first = np.minimum(
            outputs_in_pe * output_sets * channels_in_pe * channel_sets * shape.filter_rows * piece_cols, weight_sent
        )
        busy = np.maximum(macs, ceil_div(input_sent, networks.input_words_per_cycle))
        busy = np.maximum(busy, ceil_div(weight_sent - first, networks.weight_words_per_cycle))
        busy = np.maximum(busy, ceil_div(psum_words, networks.psum_words_per_cycle))
        return {
            "cycles": np.where(macs > 0, busy + ceil_div(first, networks.weight_words_per_cycle), 0),
            "mac_cycles": macs,
            "input_words": input_words,
            "psum_rounds": np.maximum(psum_rounds, 1),
            "input_copies": input_copies,
            "weight_copies": weight_copies,
            "psum_hops": np.maximum(psum_hops, 0),
            "traffic": input_words + psum_words,
        }

    def array_prices(self) -> ArrayPrices:
        unit = logic.unit_price(self.bits, self.bits)
        pes = self.rows * self.cols
        return ArrayPrices(
            events=(
                UnitEvent("macs", unit.active_pj_per_cycle, unit.source),
                UnitEvent("network_words", NETWORK_WORD_IN_MACS * unit.active_pj_per_cycle, "2 MACs a word, ISCA 2016"),
            ),
            leakage_mw=unit.leakage_mw * pes,
            area_mm2=unit.area_mm2 * pes,
            source=unit.source,
        )


def _better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Per tile the blocking with fewer cycles, then less traffic."""
    wins = (other["cycles"] < one["cycles"]) | (
        (other["cycles"] == one["cycles"]) & (other["traffic"] < one["traffic"])
    )
    return {name: np.where(wins, other[name], one[name]) for name in one}
