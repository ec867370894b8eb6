"""Keys every machine file has, checked by pydantic.  An accelerator's file adds its own.

Assumption: memory is a port with a rate and a latency in physical units, converted to the machine's
clock as an exact fraction, so that identical memory means identical Gbit/s, ns and pJ/bit.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bitsim import units
from bitsim.errors import InputError, shortened


def _bounded(convert: Any, low: Any, high: Any, allowed: str) -> Any:
    def check(value: object) -> Any:
        converted = convert(value)
        if not low <= converted <= high:
            raise ValueError(f"{value!r} is out of range, allowed {allowed}")
        return converted

    return BeforeValidator(check)


SizeBits = Annotated[int, _bounded(units.size_bits, 8, 2**36, "1 B to 8 GiB")]
FrequencyHz = Annotated[Fraction, _bounded(units.frequency_hz, 10**3, 10**11, "1 kHz to 100 GHz")]
BandwidthBitsPerS = Annotated[Fraction, _bounded(units.bandwidth_bits_per_s, 10**3, 10**15, "1 kbit/s to 1000 Tbit/s")]
TimeS = Annotated[Fraction, _bounded(units.time_s, 0, 1, "0 s to 1 s")]


def _words(value: object) -> int:
    if isinstance(value, str) and value.endswith(" words") and value[:-6].isdecimal():
        return int(value[:-6])
    raise InputError(f"{shortened(repr(value))} is not a number of words: write e.g. 12 words")


Words = Annotated[int, _bounded(_words, 1, 2**20, "1 words to 1048576 words")]
Count = Annotated[int, Field(strict=True, ge=1, le=4096)]
Cycles = Annotated[int, Field(strict=True, ge=0, le=10**6)]


def _width_or_error(value: object) -> Any:
    if value == "error" or (type(value) is int and 1 <= value <= 32):
        return value
    raise ValueError(f"{value!r}: allowed: 'error' or a whole number from 1 to 32")


WidthOrError = Annotated[int | Literal["error"], BeforeValidator(_width_or_error)]


class Section(BaseModel):
    """A block of a machine file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Array(Section):
    """Shape of the array."""

    rows: Count
    cols: Count


class Memory(Section):
    """The one shared memory port."""

    bandwidth: BandwidthBitsPerS | None = None
    bits_per_cycle: Annotated[int, Field(strict=True, ge=1, le=2**20)] | None = None
    latency: TimeS | None = None
    latency_cycles: Cycles | None = None
    turnaround_cycles: Cycles = 0
    energy: str

    @model_validator(mode="after")
    def _one_of_each(self) -> Memory:
        if (self.bandwidth is None) == (self.bits_per_cycle is None):
            raise ValueError("give exactly one of bandwidth and bits_per_cycle")
        if (self.latency is None) == (self.latency_cycles is None):
            raise ValueError("give exactly one of latency and latency_cycles")
        return self

    def rate_bits_per_cycle(self, clock_hz: Fraction) -> Fraction:
        """Bits a cycle, exact."""
        if self.bits_per_cycle is not None:
            return Fraction(self.bits_per_cycle)
        assert self.bandwidth is not None
        return self.bandwidth / clock_hz

    def latency_in_cycles(self, clock_hz: Fraction) -> int:
        """Whole cycles of latency, rounded up."""
        if self.latency_cycles is not None:
            return self.latency_cycles
        assert self.latency is not None
        return math.ceil(self.latency * clock_hz)


class FixedPrecision(Section):
    """The one width of a datapath that does not change it."""

    bits: Literal[2, 4, 8, 16]
    wider: Literal["passes", "error"] = "passes"
    float: WidthOrError = 16


class Storage(Section):
    """Width operands are kept at: raw = their own bits, unit = the width the datapath works on."""

    dram: Literal["raw", "unit"] = "raw"
    buffers: Literal["raw", "unit"] = "unit"


class Technology(Section):
    """Process the prices come from."""

    node_nm: Annotated[int, Field(strict=True, ge=1)]
    sram_cells: str


class Accumulator(Section):
    """Partial-sum width: `bits` while sums fit, then `wide_bits`, then 64, then the next multiple of 16.

    policy: widen; error refuses to; truncate always cuts sums to `bits`, as the Eyeriss chip does.
    """

    bits: Annotated[int, Field(strict=True, ge=8, le=64)] = 32
    wide_bits: Annotated[int, Field(strict=True, ge=8, le=64)] = 48
    policy: Literal["widen", "error", "truncate"] = "widen"

    def width(self, required_bits: int, least_bits: int) -> int:
        """Accumulator bits for sums that need `required_bits`, never below `least_bits`."""
        if self.policy == "truncate":
            return self.bits
        needed_bits = max(required_bits, least_bits)
        if self.policy == "error" and needed_bits > self.bits:
            raise InputError(
                f"accumulator.bits: sums need {needed_bits} bits, have {self.bits}; allowed: policy: widen"
            )
        widest = -(-needed_bits // 16) * 16
        return next(bits for bits in (self.bits, self.wide_bits, 64, widest) if bits >= needed_bits)


class Microarchitecture(Section):
    """Constants of docs/microarchitecture.md, points 2, 7 and 9."""

    setup_cycles: Cycles = 1
    reconfigure_cycles: Cycles = 0
    sram_read_cycles: Annotated[int, Field(strict=True, ge=0, le=64)] = 1
    unit_pipeline_cycles: Annotated[int, Field(strict=True, ge=0, le=64)] = 0


class Vector(Section):
    """The vector unit at the output buffer: width of the scale that a sum is multiplied by to requantise it."""

    scale_bits: Annotated[int, Field(strict=True, ge=1, le=32)] = 16


class Update(Section):
    """Widths kept for each weight beside the copy that products read: its master copy, each state of the optimiser."""

    master_bits: Annotated[int, Field(strict=True, ge=1, le=64)] = 32
    state_bits: Annotated[int, Field(strict=True, ge=1, le=64)] = 32


class Elementwise(Section):
    """What stands between products: convolutions to one residual addition (0: none)."""

    convolutions_per_residual: Annotated[int, Field(strict=True, ge=0, le=1024)] = 2


class MachineConfig(Section):
    """Keys of every machine file."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    accelerator: str
    clock: FrequencyHz
    array: Array
    storage: Storage = Storage()
    memory: Memory
    technology: Technology
    accumulator: Accumulator = Accumulator()
    microarchitecture: Microarchitecture = Microarchitecture()
    vector: Vector = Vector()
    update: Update = Update()
    elementwise: Elementwise = Elementwise()
    outputs: Literal["trace", "accumulator"] = "trace"
    dgrad: Literal["phases", "zero-inserted"] = "phases"
