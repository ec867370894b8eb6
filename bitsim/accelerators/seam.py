"""The seam: what an accelerator declares as data and answers in plain Python.

After it has answered, nothing above asks which accelerator it was: one mapping, timing, memory and
energy path serves all.  Every method takes tiles whose sizes are integers or numpy int64 arrays
(many candidate tiles at once) and uses only arithmetic that works on both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from bitsim.analytical.cost import AnalyticalCost
from bitsim.errors import InputError
from bitsim.hardware.schema import MachineConfig
from bitsim.workload import FLOAT_BITS, Layer, Product, Widths, required_accumulator_bits

DIMENSIONS = ("groups", "batch", "rows", "cols", "outputs", "channels")
INPUT, WEIGHT, OUTPUT = "input", "weight", "output"
ROLES = (INPUT, WEIGHT, OUTPUT)

# Sums of operands wider than this are held at the wide width of an accumulator, however few there are.
NARROW_OPERAND_BITS, WIDE_SUM_BITS = 8, 48

Int = Any  # int, or numpy int64 array: one value a candidate


def ceil_div(a: Int, b: Int) -> Int:
    """Ceiling of a / b, b > 0, for integers and integer arrays."""
    return (a + (b - 1)) // b


@dataclass(frozen=True)
class Buffer:
    """One memory of the machine.  name is its YAML key and the prefix of its columns.

    halves: 2 = double buffered tile storage, the operands of a tile may fill 1/halves of it;
    0 = registers inside the array, which tiles do not occupy.  register_file: priced as one.
    """

    name: str
    capacity_bits: int
    halves: int
    banks: int
    access_bits: int
    extra_ports: int = 0
    register_file: bool = False


@dataclass(frozen=True)
class Orientation:
    """Which buffer holds which operand: {role: buffer name}."""

    name: str
    holds: dict[str, str] = field(hash=False)


@dataclass(frozen=True)
class Datapath:
    """What the hardware runs one product at.

    *_unit_bits: width of one slice; *_slices: slices an operand takes; passes: their product;
    *_dram_bits, *_buffer_bits: storage width of one word.  output_bits: what the finished output
    is stored at in DRAM.
    """

    input_unit_bits: int
    input_slices: int
    weight_unit_bits: int
    weight_slices: int
    accumulator_bits: int
    output_bits: int
    dram_bits: tuple[int, int]
    buffer_bits: tuple[int, int]
    # Said of a product, but no part of what it costs: products that differ only here are mapped once.
    required_accumulator_bits: int = field(compare=False)
    is_float: bool = field(compare=False)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Of the fields that are compared: searches ask for what is known of a datapath again and again."""
        units = self.input_unit_bits, self.input_slices, self.weight_unit_bits, self.weight_slices
        return hash((*units, self.accumulator_bits, self.output_bits, self.dram_bits, self.buffer_bits))

    @cached_property
    def input_hw_bits(self) -> int:
        """Width the input operand runs at, all slices."""
        return self.input_unit_bits * self.input_slices

    @cached_property
    def weight_hw_bits(self) -> int:
        """Width the weight operand runs at, all slices."""
        return self.weight_unit_bits * self.weight_slices

    @cached_property
    def passes(self) -> int:
        """Passes a product takes: one for each pair of slices."""
        return self.input_slices * self.weight_slices

    @property
    def requantises(self) -> bool:
        """Whether finished sums are stored at another width than the accumulator's."""
        return self.output_bits != self.accumulator_bits


class Tile(NamedTuple):
    """Sizes of a tile in every tiled dimension; groups are an integer where the product has one.

    input_rows, input_cols: distinct input rows and columns it reads, halo included.
    row_taps, col_taps: kernel rows and columns; row_stride: input rows between output rows,
    row_step: between kernel rows; col_stride, col_step: the same of columns.
    """

    groups: Int
    batch: Int
    rows: Int
    cols: Int
    outputs: Int
    channels: Int
    input_rows: Int
    input_cols: Int
    row_taps: int
    col_taps: int
    row_stride: int
    col_stride: int
    row_step: int
    col_step: int
    writes_filter: bool

    @property
    def taps(self) -> int:
        """Kernel taps."""
        return self.row_taps * self.col_taps

    @property
    def positions(self) -> Int:
        """Positions: batch x rows x cols."""
        return self.batch * self.rows * self.cols

    def words(self, role: str) -> Int:
        """Distinct words of an operand in the tile."""
        if role == INPUT:
            return self.groups * self.batch * self.input_rows * self.input_cols * self.channels
        if (role == OUTPUT) == self.writes_filter:
            return self.groups * self.outputs * (self.channels * self.taps)
        return self.groups * self.outputs * self.positions


@dataclass(frozen=True, kw_only=True)
class TileTime:
    """Cycles of one tile inside the array.

    accumulating_issue_cycles: of a tile that adds to outputs an earlier one left, where they differ.
    """

    issue_cycles: Int
    drain_cycles: Int
    accumulating_issue_cycles: Int | None = None


@dataclass(frozen=True, kw_only=True)
class TileCost(TileTime):
    """What one tile costs inside the array.

    per_tile, per_tap: counters, {name: count}, once a tile and once for each real (position, tap)
    pair of one group and the whole tile batch; names are BUFFER_read_bits, BUFFER_write_bits and the
    array's own events.
    load_words: words written to the buffer by a load, where they differ from the words fetched.
    """

    per_tile: dict[str, Int]
    per_tap: dict[str, Int]
    load_words: dict[str, Int] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitEvent:
    """An event of the array with its price: pJ each."""

    name: str
    pj: float
    source: str


@dataclass(frozen=True)
class ArrayPrices:
    """Prices of the array: its events and its leakage.

    band: (least, most) times these prices that the true ones may be, where they are estimates.
    """

    events: tuple[UnitEvent, ...]
    leakage_mw: float
    source: str
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Logic:
    """Equal logic blocks of the array: how many, the area of one in mm2, and where that figure is from.

    What the source already counts in (a unit's pipeline registers, its wiring) is not declared again;
    registers that tiles are held in are a Buffer with register_file, priced with the other memories.
    marks: what a reader of the figure must know, e.g. that it is an estimate.
    """

    name: str
    count: int
    area_mm2: float
    source: str
    marks: tuple[str, ...] = ()


class Accelerator(ABC):
    """One machine.  A new one is one file: a subclass named Accelerator with these methods."""

    config_model: ClassVar[type[MachineConfig]] = MachineConfig
    # Passes a published closed-form model of this machine can say, for analytical_cost.
    analytical_passes: ClassVar[tuple[str, ...]] = ()
    # Keys only prices depend on, and buffers whose size only decides which tilings fit: a sweep over them maps and
    # times no tile twice.  No answer below may ask for them, nor for clock and memory, which come in as cycles.
    price_keys: ClassVar[tuple[str, ...]] = ("technology",)
    size_keys: ClassVar[tuple[str, ...]] = ()
    # Whether a tile of r rows and c columns costs what one of c rows and r columns does, of a product with its axes
    # changed over too: a search tries one of them.
    axes_alike: ClassVar[bool] = False
    # Operands of a weight gradient that the passes before it must store twice: as forward and dgrad read them, and
    # packed along the positions.  A machine that reads the same form in all passes says so: ().
    copied_for_wgrad: ClassVar[tuple[str, ...]] = (INPUT, WEIGHT)

    def __init__(self, config: Any) -> None:
        self.config = config
        self._datapaths: dict[tuple[int, int, int | None, int], Datapath] = {}

    @abstractmethod
    def buffers(self) -> tuple[Buffer, ...]:
        """Every memory of the machine."""

    @cached_property
    def room_bits(self) -> dict[str, int]:
        """Bits of each buffer that the operands of one tile may fill."""
        return {buffer.name: buffer.capacity_bits // buffer.halves for buffer in self.buffers() if buffer.halves}

    @abstractmethod
    def slices(self, bits: int) -> tuple[int, int]:
        """(unit bits, slices) an operand of `bits` bits runs at; InputError if the machine refuses it."""

    def slices_of(self, role: str, bits: int) -> tuple[int, int]:
        """`slices` of the operand in `role`: INPUT or WEIGHT, for machines that run the two differently."""
        return self.slices(bits)

    def in_passes(self, bits: int, unit_bits: int) -> tuple[int, int]:
        """(unit bits, slices) of an operand on units of one width; InputError if it is wider and `wider` is error."""
        if bits > unit_bits and self.config.precision.wider == "error":
            raise InputError(f"precision.wider: error refuses {bits} bits; allowed: up to {unit_bits}, or passes")
        return unit_bits, ceil_div(bits, unit_bits)

    @abstractmethod
    def orientations(self, product: Product) -> tuple[Orientation, ...]:
        """Ways to put the operands of `product` into buffers."""

    @abstractmethod
    def granules(self, product: Product, datapath: Datapath, orientation: Orientation) -> dict[str, int]:
        """{outputs, channels: size below which lanes idle}: larger tiles are multiples of it, or few even parts.

        {} where there is no such size: then a quick list cannot tell whether it is good, and searches take longer.
        """

    @abstractmethod
    def footprint_bits(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> dict[str, Int]:
        """Bits each operand of a tile occupies of its buffer, padding included: {role: bits}."""

    @abstractmethod
    def tile_cost(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileCost:
        """Cost of one tile (or of arrays of tiles)."""

    def tile_time(self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile) -> TileTime:
        """The cycles of `tile_cost` alone: a search asks them of every tiling, so a machine may answer sooner."""
        return self.tile_cost(product, datapath, orientation, tile)

    def array_loops(
        self, product: Product, datapath: Datapath, orientation: Orientation, tile: Tile
    ) -> tuple[tuple[str, int], ...]:
        """The loops the array runs inside one tile (of integers), for a reader: (name, trips), outermost first.

        Blocks are taken at their full size.  Nothing is computed from them; a machine may say none.
        """
        return ()

    @abstractmethod
    def array_prices(self) -> ArrayPrices:
        """Sourced prices of the array's events and leakage."""

    @abstractmethod
    def logic(self) -> tuple[Logic, ...]:
        """What the array consists of beside its buffers and registers, each kind of block once."""

    @property
    @abstractmethod
    def peak_bit_products_per_cycle(self) -> int:
        """Bit products a cycle at full use: the denominator of utilisation."""

    @property
    def accumulators(self) -> int:
        """Words the output buffer's adders take a cycle: one a column."""
        return int(self.config.array.cols)

    def analytical_cost(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> AnalyticalCost:
        """A pass of analytical_passes by the published model; InputError naming what it cannot say."""
        raise NotImplementedError

    def datapath(self, product: Product, input_bits: int, weight_bits: int, output_bits: int | None) -> Datapath:
        """Widths, passes and accumulator of `product` on this machine (32 bits = float)."""
        # What a sum needs follows from the values, not from the container they run in.
        required = required_accumulator_bits(self._float(input_bits), self._float(weight_bits), product.reduction)
        key = input_bits, weight_bits, output_bits, required
        if key not in self._datapaths:
            self._datapaths[key] = self._datapath(*key)
        return self._datapaths[key]

    def _datapath(self, input_bits: int, weight_bits: int, output_bits: int | None, required: int) -> Datapath:
        raw = self._float(input_bits), self._float(weight_bits)
        units = [self.slices_of(role, bits) for role, bits in zip((INPUT, WEIGHT), raw, strict=True)]
        hw = [unit * count for unit, count in units]
        config = self.config
        least = 0 if max(raw) <= NARROW_OPERAND_BITS else min(WIDE_SUM_BITS, config.accumulator.wide_bits)
        accumulator = config.accumulator.width(required, least)
        if output_bits is None or config.outputs == "accumulator":
            output = accumulator
        else:
            output = self.stored_bits(output_bits)
        return Datapath(
            *units[0],
            *units[1],
            accumulator_bits=accumulator,
            required_accumulator_bits=required,
            output_bits=output,
            is_float=FLOAT_BITS in (input_bits, weight_bits),
            dram_bits=(hw[0], hw[1]) if config.storage.dram == "unit" else raw,
            buffer_bits=(hw[0], hw[1]) if config.storage.buffers == "unit" else raw,
        )

    def stored_bits(self, bits: int) -> int:
        """Width in DRAM of an operand word of `bits` bits (32 = float)."""
        bits = self._float(bits)
        if self.config.storage.dram == "raw":
            return bits
        unit, count = self.slices(bits)
        return unit * count

    def _float(self, bits: int) -> int:
        if bits != FLOAT_BITS:
            return bits
        if self.config.precision.float == "error":
            raise InputError("precision.float: error refuses float layers (width 32); allowed: a width to run them at")
        return int(self.config.precision.float)
