"""Row-stationary integer machine (Eyeriss: Chen et al., ISCA 2016; JSSC 2017).

Assumptions (docs/microarchitecture.md, section 3, has all of them with reasons)
    - A logical set of R x E PEs holds R filter rows and E output rows; a PE slides one filter row
      over one input row. Sets are folded onto the array and replicated over it; vertical replicas
      first hold segments of E, then input channels or outputs (JSSC 2017, Sec. IV.A).
    - wgrad is the same convolution with the output gradient as its filter: its rows and columns are
      the filter's, kernel rows and columns the output's, and the batch is reduced over. Filter rows
      wider than the input spad are cut into pieces, whose partial sums go through the global buffer.
    - Register blocking (p outputs, q channels interleaved in a PE) is chosen here, for least cycles,
      then fewest words over the networks; a tile that accumulates onto another's outputs keeps it.
    - Three multicast networks run beside the PEs, beat by beat (row_stationary_beats.py).
    - Words are moved whole, row by row in all three passes: a weight gradient reads what forward and dgrad read.
    - PEs multiply at one width. A MAC whose input is padding is gated; its cycle is not.
    - Sets of different groups (depthwise) may stand side by side where replicas are left over.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bitsim.accelerators.row_stationary import (
    Blocking,
    Shape,
    Spads,
    blocking,
    cut,
    fold_and_replicate,
    shape_of,
)
from bitsim.accelerators.row_stationary_beats import Rates, input_words, issue_cycles, slots, traffic
from bitsim.accelerators.seam import (
    INPUT,
    OUTPUT,
    WEIGHT,
    ArrayPrices,
    Buffer,
    Datapath,
    Logic,
    Orientation,
    Tile,
    TileCost,
    TileTime,
    UnitEvent,
    ceil_div,
)
from bitsim.accelerators.seam import Accelerator as Seam
from bitsim.analytical.cost import AnalyticalCost
from bitsim.analytical.eyeriss_forward import WORD_BITS, forward_cost
from bitsim.errors import InputError
from bitsim.hardware.schema import FixedPrecision, MachineConfig, Section, SizeBits, Storage, Words
from bitsim.technology import logic
from bitsim.workload import FORWARD, Layer, Product, Widths

# Boxes of a grid from which on those of equal rows are timed together: below, calls cost more than arrays.
MANY_BOXES = 20
# A word from PE to PE costs two MACs (ISCA 2016, Table IV's energy ladder 1, 2, 6, 200).
NETWORK_WORD_IN_MACS = 2.0

Positive = Annotated[int, Field(strict=True, ge=1, le=1024)]


class Networks(Section):
    """Words a cycle of each network (JSSC 2017: 64-bit buses for filters and psums, 16-bit for inputs)."""

    input_words_per_cycle: Positive = 1
    weight_words_per_cycle: Positive = 4
    psum_words_per_cycle: Positive = 4


class Config(MachineConfig):
    """Keys of a row-stationary machine file."""

    storage: Storage = Storage(dram="unit", buffers="unit")
    precision: FixedPrecision
    global_buffer: SizeBits
    filter_buffer: SizeBits
    global_buffer_banks: Positive = 25
    filter_buffer_banks: Positive = 2
    buffer_access_bits: Literal[8, 16, 32, 64, 128, 256] = 64
    input_spad: Words
    weight_spad: Words
    psum_spad: Words
    networks: Networks = Networks()


class Accelerator(Seam):
    """Ph x Pw PEs with three spads each, a global buffer for inputs and psums, a filter buffer."""

    config_model: ClassVar[type[MachineConfig]] = Config
    analytical_passes = (FORWARD,)
    price_keys = ("technology", "buffer_access_bits", "global_buffer_banks", "filter_buffer_banks")
    size_keys = ("global_buffer", "filter_buffer")
    copied_for_wgrad = ()
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
        return self.in_passes(bits, self.bits)

    def orientations(self, product: Product) -> tuple[Orientation, ...]:
        holds = {INPUT: "global_buffer", WEIGHT: "filter_buffer", OUTPUT: "global_buffer"}
        return (Orientation("row-stationary", holds),)

    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        return {}

    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Any]:
        widths = {INPUT: datapath.buffer_bits[0], WEIGHT: datapath.buffer_bits[1], OUTPUT: datapath.accumulator_bits}
        return {role: tile.words(role) * bits for role, bits in widths.items()}

    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileCost:
        """Cycles, footprints and accesses of a tile, at the register blocking with the fewest cycles."""
        return self.cost_of(datapath, tile, self.chosen(datapath, tile, self.blockings(datapath, tile)))

    def tile_time(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileTime:
        if np.ndim(tile.rows) != 2 or len(tile.rows) < MANY_BOXES:
            return self._best_time(datapath, tile)
        # A grid, as a search asks for: blockings depend on rows, outputs and channels, so they are found once for all
        # boxes of as many rows, and only splits of that fold are tried.
        whole, (rows,) = np.broadcast_shapes(*map(np.shape, tile)), tile.rows.T
        first, later = np.empty(whole, np.int64), np.empty(whole, np.int64)
        for size in np.unique(rows).tolist():
            at = rows == size
            boxes = {name: getattr(tile, name)[at] for name in ("batch", "cols", "input_rows", "input_cols")}
            time = self._best_time(datapath, tile._replace(rows=size, **boxes))
            first[at] = time.issue_cycles
            later[at] = time.accumulating_issue_cycles  # type: ignore[assignment]  # said by _time_of
        return TileTime(issue_cycles=first, drain_cycles=self.drain_cycles, accumulating_issue_cycles=later)

    def _best_time(self, datapath: Datapath, tile: Tile) -> TileTime:
        return self._time_of(datapath, tile, self.chosen(datapath, tile, self.blockings(datapath, tile)))

    def array_loops(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> tuple[tuple[str, int], ...]:
        """The order of docs/microarchitecture.md, section 3: down to columns over the array, then inside a PE.

        Their product is the MAC cycles of a PE with whole blocks; the networks may take longer.
        """
        shape, block = shape_of(tile), self.chosen(datapath, tile, self.blockings(datapath, tile))
        loops = (
            ("pieces of the filter columns", block.cuts.pieces.blocks),
            ("channel blocks", block.channels.blocks),
            ("folds of the filter rows", block.cuts.filter_rows.blocks),
            (f"blocks of {int(block.groups_beside)} groups beside", ceil_div(shape.groups, block.groups_beside)),
            ("output blocks", block.outputs.blocks),
            ("images", shape.images),
            ("segments of the output rows", block.cuts.rows.blocks),
            ("output columns", shape.output_cols),
            ("channels in a PE", block.channels.size),
            ("taps in a piece", block.cuts.pieces.size),
            ("input slices", datapath.input_slices),
            ("weight slices", datapath.weight_slices),
            ("outputs in a PE", block.outputs.size),
        )
        return tuple((name, int(trips)) for name, trips in loops)

    def blockings(self, datapath: Datapath, tile: Tile) -> list[Blocking]:
        """Blockings a tile may run with: every split of vertical replicas, one or the most channels in a PE."""
        shape = shape_of(tile)
        fold = fold_and_replicate(shape.filter_rows, shape.output_rows, self.rows, self.cols)
        config = self.config
        self._check_spads(datapath)
        psums = max(1, config.psum_spad // ceil_div(datapath.accumulator_bits, config.accumulator.bits))
        spads = Spads(config.input_spad, config.weight_spad, psums)
        slices = datapath.input_slices, datapath.weight_slices
        cuts = cut(shape, fold, spads, slices)
        found = []
        for divisor in range(1, self.rows + 1):
            divides = fold.replicas_vertical % divisor == 0
            if np.any(divides):
                sets = np.where(divides, divisor, 1)
                found += [blocking(shape, fold, sets, most, spads, slices, cuts) for most in (False, True)]
        return found

    def _check_spads(self, datapath: Datapath) -> None:
        """InputError where a spad cannot hold one word of all slices (of the weight spad, each half)."""
        for key, words, least in (
            ("input_spad", self.config.input_spad, datapath.input_slices),
            ("weight_spad", self.config.weight_spad, 2 * datapath.weight_slices),
        ):
            if words < least:
                raise InputError(f"{key}: {words} words hold no operand in slices, allowed: at least {least} words")

    def rates(self, datapath: Datapath) -> Rates:
        """Words a cycle of the networks, and bus words of a psum."""
        networks = self.config.networks
        return Rates(
            networks.input_words_per_cycle,
            networks.weight_words_per_cycle,
            networks.psum_words_per_cycle,
            ceil_div(datapath.accumulator_bits, self.bits),
        )

    def chosen(self, datapath: Datapath, tile: Tile, blockings: list[Blocking]) -> Blocking:
        """Of each tile the best of `blockings`: fewest cycles, then fewest words over the networks."""
        shape, rates = shape_of(tile), self.rates(datapath)
        maps = shape.groups * shape.images * shape.channels * datapath.input_slices
        once, psums = input_words(shape, blockings[0].cuts)[0] * maps, rates.words_of_psum * tile.words(OUTPUT)

        def priced(block: Blocking) -> tuple[Any, Any]:
            """(cycles, words as far as blockings differ in them)."""
            words = once * block.outputs.blocks + 2 * block.psum_rounds * psums
            return self._issue_cycles(datapath, shape, block), words

        best, (cycles, words) = blockings[0], priced(blockings[0])
        for block in blockings[1:]:
            its_cycles, its_words = priced(block)
            wins = (its_cycles < cycles) | ((its_cycles == cycles) & (its_words < words))
            best = best.replaced(wins, block)
            cycles, words = np.where(wins, its_cycles, cycles), np.where(wins, its_words, words)
        return best

    def _issue_cycles(self, datapath: Datapath, shape: Shape, block: Blocking, accumulates: bool = False) -> Any:
        slot = slots(shape, block, (datapath.input_slices, datapath.weight_slices), self.rates(datapath))
        return issue_cycles(shape, block, datapath.passes, slot, accumulates)

    def cost_of(self, datapath: Datapath, tile: Tile, block: Blocking) -> TileCost:
        """Cost of a tile at one blocking."""
        shape = shape_of(tile)
        moved, rounds = traffic(shape, block, input_words(shape, block.cuts)), block.psum_rounds
        psum_bits, (input_bits, weight_bits) = datapath.accumulator_bits, datapath.buffer_bits
        products = tile.groups * tile.outputs * tile.channels
        other_slices = (datapath.weight_slices, datapath.input_slices)
        outputs = tile.words(OUTPUT)
        copies = moved.input_copies * datapath.input_slices + moved.weight_copies * datapath.weight_slices
        per_tile = {
            "global_buffer_read_bits": moved.input_reads * input_bits + (rounds - 1) * outputs * psum_bits,
            "global_buffer_write_bits": rounds * outputs * psum_bits,
            "filter_buffer_read_bits": tile.words(WEIGHT) * weight_bits,
            "input_spad_write_bits": moved.input_copies * input_bits,
            "weight_spad_write_bits": moved.weight_copies * weight_bits,
            "network_words": copies + moved.psum_hops,
        }
        per_tap = {
            "macs": products * datapath.passes,
            "input_spad_read_bits": products * input_bits * other_slices[0],
            "weight_spad_read_bits": products * weight_bits * other_slices[1],
            "psum_spad_read_bits": products * psum_bits * datapath.passes,
            "psum_spad_write_bits": products * psum_bits * datapath.passes,
        }
        return TileCost(**vars(self._time_of(datapath, tile, block)), per_tile=per_tile, per_tap=per_tap)

    def _time_of(self, datapath: Datapath, tile: Tile, block: Blocking) -> TileTime:
        first, later = (self._issue_cycles(datapath, shape_of(tile), block, again) for again in (False, True))
        return TileTime(issue_cycles=first, drain_cycles=self.drain_cycles, accumulating_issue_cycles=later)

    def analytical_cost(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> AnalyticalCost:
        """The blocking behind the Eyeriss rows of ISCA 2018, for least energy: spads as one file, buffers as one."""
        config = self.config
        if config.precision.bits != WORD_BITS:
            raise InputError(f"precision.bits: {config.precision.bits}, allowed: {WORD_BITS}, the word of the model")
        bits = max(self._float(bits) for bits in (widths.activation_bits, widths.weight_bits))
        registers = config.input_spad + config.weight_spad + config.psum_spad
        buffer_words = (config.global_buffer + config.filter_buffer) // WORD_BITS
        return forward_cost(layer, samples, bits, (config.array.rows, config.array.cols), registers, buffer_words)

    @property
    def drain_cycles(self) -> int:
        """Cycles from the end of issue until the last result is visible."""
        return self.rows + 2

    def array_prices(self) -> ArrayPrices:
        unit = logic.unit_price(self.bits, self.bits)
        pes = self.rows * self.cols
        return ArrayPrices(
            events=(
                UnitEvent("macs", unit.active_pj_per_cycle, unit.source),
                UnitEvent("network_words", NETWORK_WORD_IN_MACS * unit.active_pj_per_cycle, "2 MACs a word, ISCA 2016"),
            ),
            leakage_mw=unit.leakage_mw * pes,
            source=unit.source,
        )

    def logic(self) -> tuple[Logic, ...]:
        unit = logic.unit_price(self.bits, self.bits)
        return (Logic("mac_unit", self.rows * self.cols, unit.area_mm2, unit.source),)
