"""Row-stationary loop blocking for least energy, as behind the published 256-PE Eyeriss rows.

Those rows (the baseline of BitFusion, ISCA 2018) come from an energy-minimising scheduler of 2017
with unit costs ALU 1, register 1, array 2, global buffer 6, DRAM 200 a word.  Kept apart from the
exact engine: no buffer is doubled, nothing waits, energy alone decides.

Terms: C input channels, M outputs, R x R filter, E x E output, U stride, N batch.  A unit pass
holds `ri` channels and `ro` outputs; loops over channels (i), outputs (o) and batch segments (b)
are each split exactly into three factors: DRAM to global buffer, global buffer to registers, registers.
All counts are scaled by the folds fh·fw, so that averages over folds stay whole numbers.

Pooling is the same nest without filters: a set of E x F PEs, k x k operations a PE, all replicas other maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from bitsim.errors import InputError
from bitsim.kernels.compile import allocating

ARRAY_COST, BUFFER_COST, DRAM_COST = 2, 6, 200
REGISTER_ACCESSES_PER_MAC = 4  # filter, input, psum read; psum write
COUNTERS = ("cycles", "alu_units", "rf_units", "noc_units", "glb_units", "dram_units")
_NONE = 3
# Options of a level by which loops are non-trivial (bits i, o, b): order number, innermost, outermost loop.
# An order is (position of i, of o, of b), numbered lexicographically; loops of factor 1 stand outermost.
_OPTIONS = {
    0b000: ((0, _NONE, _NONE),),
    0b001: ((0, 0, 0),),
    0b010: ((2, 1, 1),),
    0b100: ((3, 2, 2),),
    0b011: ((0, 0, 1), (2, 1, 0)),
    0b101: ((1, 0, 2), (3, 2, 0)),
    0b110: ((4, 1, 2), (5, 2, 1)),
    0b111: ((0, 0, 2), (2, 1, 2), (3, 2, 1)),
}


@dataclass(frozen=True)
class Blocking:
    """The published columns: cycles of the batch, and energy units (MACs; words x 1, 2, 6, 200).

    Besides them the words among these that are psums written, to the buffer and to DRAM; all others are reads.
    """

    cycles: int
    alu_units: Fraction
    rf_units: Fraction
    noc_units: Fraction
    glb_units: Fraction
    dram_units: Fraction
    buffer_write_words: Fraction
    dram_write_words: Fraction


def option_table() -> tuple[np.ndarray, np.ndarray]:
    """_OPTIONS as arrays: (8,) counts and (8, 3, 3) entries."""
    count, table = np.zeros(8, np.int64), np.zeros((8, 3, 3), np.int64)
    for mask, entries in _OPTIONS.items():
        count[mask] = len(entries)
        table[mask, : len(entries)] = entries
    return count, table


def divisors(number: int) -> list[int]:
    """Divisors of a positive number, ascending."""
    low = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return low + [number // d for d in reversed(low) if d * d != number]


def ordered_factors(number: int) -> np.ndarray:
    """(count, 3) ordered triples whose product is `number`, ascending."""
    triples = [(a, b, number // (a * b)) for a in divisors(number) for b in divisors(number // a)]
    return np.array(triples, np.int64)


@allocating
def cheapest(inner, outer, batch, words, held, capacity, option_count, options):  # type: ignore[no-untyped-def]  # a kernel
    """The blocking of one candidate with least scaled energy of array, buffer and DRAM.

    inner, outer, batch: (n, 3) factor triples of the loops i, o, b.  words: (9,) once-through words
    W, buffer words H and fill words A of filter, input, output.  held: (6,) words a unit holds,
    registers then global buffer, of filter, input, output.  capacity: (2,) register and buffer words.
    Returns (7,): energy (-1: nothing fits), tie key, words of DRAM, buffer and array, how often each psum is
    written to the buffer and to DRAM.
    """
    best = np.full(7, -1, np.int64)
    for b in range(batch.shape[0]):
        b0, b1, b2 = batch[b]
        for i in range(inner.shape[0]):
            i0, i1, i2 = inner[i]
            if held[1] * i2 * b2 > capacity[0] or held[4] * i1 * i2 * b1 * b2 > capacity[1]:
                continue
            for o in range(outer.shape[0]):
                o0, o1, o2 = outer[o]
                if held[0] * i2 * o2 + held[1] * i2 * b2 + held[2] * o2 * b2 > capacity[0]:
                    continue
                in_buffer = held[3] * i1 * i2 * o1 * o2 + held[4] * i1 * i2 * b1 * b2 + held[5] * o1 * o2 * b1 * b2
                if in_buffer > capacity[1]:
                    continue
                mask0 = (i0 > 1) + 2 * (o0 > 1) + 4 * (b0 > 1)
                mask1 = (i1 > 1) + 2 * (o1 > 1) + 4 * (b1 > 1)
                for x in range(option_count[mask0]):
                    order0, q0 = options[mask0, x, 0], options[mask0, x, 1]
                    f0_filter = 1 if q0 == 2 else b0
                    f0_input = 1 if q0 == 1 else o0
                    f0_output = 1 if q0 == 0 else 2 * i0 - 1
                    dram = words[0] * f0_filter + words[1] * f0_input + words[2] * f0_output
                    for y in range(option_count[mask1]):
                        order1, q1, outermost = options[mask1, y, 0], options[mask1, y, 1], options[mask1, y, 2]
                        if option_count[mask0] > 1 and option_count[mask1] > 1 and outermost == q0:
                            continue
                        f1_filter = f0_filter if i1 * o1 == 1 else (b0 if q1 == 2 else b0 * b1)
                        f1_input = f0_input if i1 * b1 == 1 else (o0 if q1 == 1 else o0 * o1)
                        f1_output = f0_output if o1 * b1 == 1 else (2 * i0 - 1 if q1 == 0 else 2 * i0 * i1 - i0)
                        buffer = words[3] * f1_filter + words[4] * f1_input + words[5] * f1_output
                        array = (
                            (words[6] - words[3]) * f1_filter
                            + (words[7] - words[4]) * f1_input
                            + (words[8] - words[5]) * f1_output
                        )
                        energy = 2 * array + 6 * buffer + 200 * dram
                        key = (((b * 6 + order0) * 6 + order1) * inner.shape[0] + i) * outer.shape[0] + o
                        if best[0] < 0 or energy < best[0] or (energy == best[0] and key < best[1]):
                            best[0], best[1], best[2], best[3], best[4] = energy, key, dram, buffer, array
                            best[6] = 1 if q0 == 0 else i0
                            best[5] = best[6] if o1 * b1 == 1 else (i0 if q1 == 0 else i0 * i1)
    return best


@dataclass(frozen=True)
class Candidate:
    """One split of the replicas into channels and outputs, all counts times `scale`.

    loops: trips Li, Lo, Lb; words, held: as of `cheapest`; registers: register accesses of the layer.
    """

    loops: tuple[int, int, int]
    words: tuple[int, ...]
    held: tuple[int, ...]
    registers: int
    cycles: int


def best_blocking(
    in_channels: int,
    out_channels: int,
    kernel: int,
    out_size: int,
    stride: int,
    batch: int,
    array_rows: int = 16,
    array_cols: int = 16,
    register_words: int = 256,
    buffer_words: int = 65536,
) -> Blocking:
    """Cycles and energy units of the least-energy blocking of one convolution (or fully connected: out_size 1).

    Raises InputError if nothing fits, or counters would pass int64.
    """
    side = kernel + (out_size - 1) * stride
    fh, rh, fw, rw = _fold(kernel, out_size, array_rows, array_cols)
    scale = fh * fw
    active = kernel * out_size * rh * rw
    input_rows = min(kernel * fw + (out_size - fw) * stride * fh, kernel * out_size)
    once = (
        in_channels * out_channels * kernel**2 * scale,
        batch * fw * in_channels * side * input_rows,
        batch * out_channels * out_size**2 * scale,
    )
    candidates: list[Candidate] = []
    fewest = None
    for ri in divisors(rh):
        ro = rh // ri * rw
        li, lo, lb = -(-in_channels // ri), -(-out_channels // ro), batch * fw
        passes = li * lo * lb
        if fewest is not None and passes > fewest:
            continue
        fewest = passes
        fills = (active * kernel * fh * li * lo, active * side * fh * li * lb, active * out_size * fh * lo * lb)
        in_buffer = (
            kernel * -(-kernel // fh) * ri * ro * fh,
            side * -(-input_rows // scale) * ri,
            out_size * -(-out_size // fw) * ro,
        )
        words = (*once, once[0], fh * once[1], fh * once[2], *fills)
        registers = REGISTER_ACCESSES_PER_MAC * fh * active * kernel * out_size * passes
        cycles = fh * kernel * out_size * passes
        candidates.append(Candidate((li, lo, lb), words, (kernel, kernel, 1, *in_buffer), registers, cycles))
    return _least(candidates, once[2] * in_channels * kernel**2, scale, register_words, buffer_words)


def best_pooling(
    channels: int,
    kernel: int,
    out_size: int,
    stride: int,
    batch: int,
    array_rows: int = 16,
    array_cols: int = 16,
    register_words: int = 256,
    buffer_words: int = 65536,
) -> Blocking:
    """The same of one pooling layer, kernel x kernel to out_size x out_size.  Its MACs are operations."""
    fh, rh, fw, rw = _fold(out_size, out_size, array_rows, array_cols)
    maps = rh * rw
    active = out_size**2 * maps
    lo, lb = -(-channels // maps), batch * fh * fw
    # Input rows and columns of a fold, times the folds.
    rows, cols = (kernel * fold + (out_size - fold) * stride for fold in (fh, fw))
    inputs, outputs = batch * channels * rows * cols, batch * channels * out_size**2
    fills = (0, active * channels * kernel**2 * batch, active * lo * batch)
    in_buffer = (0, -(-rows // fh) * -(-cols // fw) * maps, -(-out_size // fh) * -(-out_size // fw) * maps)
    registers = REGISTER_ACCESSES_PER_MAC * active * kernel**2 * lo * batch
    words = (0, inputs, outputs, 0, inputs, outputs, *fills)
    one = Candidate((1, lo, lb), words, (0, kernel**2, 1, *in_buffer), registers, kernel**2 * lo * lb)
    return _least([one], outputs * kernel**2, 1, register_words, buffer_words)


def _fold(rows: int, cols: int, array_rows: int, array_cols: int) -> tuple[int, int, int, int]:
    """(fh, rh, fw, rw): folds and replicas of a set of rows x cols; vertical replicas first hold segments."""
    fh, rh = (-(-rows // array_rows), 1) if rows > array_rows else (1, array_rows // rows)
    fw, rw = (-(-cols // array_cols), 1) if cols > array_cols else (1, array_cols // cols)
    held_vertically = min(rh, fw)
    return fh, rh // held_vertically, -(-fw // held_vertically), rw


def _least(candidates: list[Candidate], macs: int, scale: int, register_words: int, buffer_words: int) -> Blocking:
    """The blocking of least energy; of equal ones the first.  macs: times scale."""
    best: tuple[int, Candidate, np.ndarray] | None = None
    capacity = np.array([register_words, buffer_words], np.int64)
    for one in candidates:
        if 2 * DRAM_COST * 9 * max(one.words) * max(one.loops) + one.registers + macs >= 2**62:
            raise InputError("counters would pass int64, allowed: smaller dimensions")
        factors = (ordered_factors(count) for count in one.loops)
        words, held = np.array(one.words, np.int64), np.array(one.held, np.int64)
        found = cheapest(*factors, words, held, capacity, *option_table())
        total = int(found[0]) + one.registers + macs
        if found[0] >= 0 and (best is None or total < best[0]):
            best = (total, one, found)
    if best is None:
        raise InputError(f"no blocking fits {register_words} register and {buffer_words} buffer words, allowed: more")
    _, one, found = best
    dram, buffer, array, buffer_writes, dram_writes = (int(v) for v in found[2:])
    return Blocking(
        cycles=one.cycles,
        alu_units=Fraction(macs, scale),
        rf_units=Fraction(one.registers, scale),
        noc_units=Fraction(ARRAY_COST * array, scale),
        glb_units=Fraction(BUFFER_COST * buffer, scale),
        dram_units=Fraction(DRAM_COST * dram, scale),
        buffer_write_words=Fraction(one.words[5] * buffer_writes, scale),
        dram_write_words=Fraction(one.words[2] * dram_writes, scale),
    )
