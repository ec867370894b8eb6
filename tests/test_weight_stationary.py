"""The weight-stationary array: its cycles against its registers, published RTL, and cases by hand."""

from fractions import Fraction

import numpy as np
import pytest

import bitsim
from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.weight_stationary import Folds
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.workload import Layer, lower
from tests import weight_stationary_array

NAME = "weight_stationary_int8_16x32_192b"


def array(rows, cols, planes=2, pipeline=0, sram_read=1):
    """The machine at another size."""
    changed = {"array.rows": rows, "array.cols": cols, "weight_planes": planes}
    depth = {"microarchitecture.unit_pipeline_cycles": pipeline, "microarchitecture.sram_read_cycles": sram_read}
    return load_hardware(NAME, changed | depth).accelerator


def schedule(accelerator, lengths):
    """[(fill, first input)] of the folds of a tile that starts in cycle 0, as the module docstring has them."""
    return [
        (begin - accelerator.rows, begin)
        for begin in (
            accelerator.issue_cycles(Folds(count, length, 1, 1, count * length))[0]
            - accelerator.issue_cycles(Folds(1, length, 1, 1, length))[0]
            + accelerator.rows
            for count, length in enumerate(lengths, 1)
        )
    ]


@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("pipeline", [0, 1])
def test_folds_follow_one_another_as_fast_as_the_registers_allow(planes, pipeline):
    """Sums are right on schedule; where fills bound it, a fill one cycle early spoils a word that is still needed."""
    rng, bound = np.random.default_rng(3), 0
    for _ in range(25):
        rows, cols, count, length = (int(n) for n in rng.integers(1, [6, 4, 4, 12]))
        accelerator = array(rows, cols, planes, pipeline)
        folds = [(rng.integers(1, 99, (rows, cols)), rng.integers(1, 99, (length, rows))) for _ in range(count)]
        starts = schedule(accelerator, [length] * count)
        sums, visible = weight_stationary_array.run(folds, starts, planes, pipeline)
        assert all(np.array_equal(got, inputs @ words) for got, (words, inputs) in zip(sums, folds, strict=True))
        issue, after = accelerator.issue_cycles(Folds(count, length, 1, 1, count * length))
        # visible `drain` cycles after the last issue cycle, of which an SRAM read in front takes one
        assert issue - 1 + accelerator.drain_cycles - after == visible + 1
        if count == 1 or rows == 1 or (planes == 2 and starts[1][1] - starts[0][1] == length):
            continue
        early = [starts[0], *((fill - 1, first - 1) for fill, first in starts[1:])]
        sums, _ = weight_stationary_array.run(folds, early, planes, pipeline)
        assert not all(np.array_equal(got, inputs @ words) for got, (words, inputs) in zip(sums, folds, strict=True))
        bound += 1
    assert bound > 3


@pytest.mark.parametrize(("rows", "cols", "length"), [(4, 4, 1), (4, 4, 9), (8, 4, 20), (3, 6, 2), (16, 16, 64)])
def test_one_fold_takes_what_published_rtl_takes(rows, cols, length):
    """SCALE-Sim's array RTL, weight stationary, simulated: 3R + C + T - 1 with two registers a row, no SRAM read."""
    accelerator = array(rows, cols, pipeline=1, sram_read=0)
    issue, after = accelerator.issue_cycles(Folds(1, length, 1, 1, length))
    assert issue - 1 - after + accelerator.drain_cycles == 3 * rows + cols + length - 1


def one_tile(accelerator, product, bits, orientation=0):
    """(datapath, execution) of a product as one tile."""
    datapath = accelerator.datapath(product, *bits, None if product.writes_filter else 8)
    holds = accelerator.orientations(product)[orientation]
    mapping = Mapping(holds.name, tuple(dimension_sizes(product).values()), ORDERS[0])
    return datapath, execute(product, accelerator, datapath, holds, mapping, Fraction(192))


LINEAR = Layer("layer", "linear", 1, 6, 5, rows=1)
CONV = Layer("layer", "conv", 1, 3, 5, 4, 4, 3, 3)


@pytest.mark.parametrize(
    ("layer", "pass_name", "samples", "bits", "orientation", "planes", "expected"),
    [
        # 4 x 2 array, W = 3.  6 channels: 2 folds of rows, 5 outputs: 3 of columns; T = 9 samples >= W + N = 7:
        # 4 + 5 x 9 + 9 = 58.  Each of 45 outputs is written in 2 folds and read once between them.
        (LINEAR, "forward", 9, (8, 8), 0, 2, {"issue": 58, "outputs": (90, 45), "held": 30, "streamed": 9 * 6 * 3}),
        # One plane: 4 + 5 x (4 + 9 + 3 - 1) + 9 + 2 = 90.
        (LINEAR, "forward", 9, (8, 8), 0, 1, {"issue": 90, "outputs": (90, 45), "held": 30, "streamed": 9 * 6 * 3}),
        # T = 2 samples: fills bound, 4 + 5 x 7 + max(2, 3) = 42.
        (LINEAR, "forward", 2, (8, 8), 0, 2, {"issue": 42, "outputs": (20, 10), "held": 30, "streamed": 2 * 6 * 3}),
        # 12-bit inputs stream in two slices: T = 18, 4 + 5 x 18 + 18 = 112.
        (LINEAR, "forward", 9, (12, 8), 0, 2, {"issue": 112, "outputs": (90, 45), "held": 30, "streamed": 162 * 2}),
        # 12-bit weights are held in two: 12 folds, 4 + 11 x 9 + 9 = 112; outputs in 4 folds; inputs streamed twice.
        (LINEAR, "forward", 9, (8, 12), 0, 2, {"issue": 112, "outputs": (180, 135), "held": 60, "streamed": 324}),
        # Swapped: 9 samples in columns (5 groups) x 2 of rows, T = 5 outputs < 7: 4 + 9 x 7 + 5 = 72.
        (LINEAR, "forward", 9, (8, 8), 1, 2, {"issue": 72, "outputs": (90, 45), "held": 54, "streamed": 30 * 5}),
        # 3x3: 9 taps x 1 fold of 3 channels x 3 of columns, T = 4 positions: 4 + 26 x 7 + 4 = 190.
        (
            CONV,
            "forward",
            1,
            (8, 8),
            0,
            2,
            {"issue": 190, "outputs": (180, 160), "held": 135, "streamed": 4 * 9 * 3 * 3},
        ),
        # wgrad holds 4 positions x 5 outputs: 1 fold of rows x 3 of columns, T = 3 channels x 9 taps: 4 + 3 x 27 = 85.
        (CONV, "wgrad", 1, (8, 8), 0, 2, {"issue": 85, "outputs": (135, 0), "held": 20, "streamed": 4 * 9 * 3 * 3}),
        # Swapped: 4 positions x 3 channels of each of 9 taps: 18 folds, T = 5 outputs: 4 + 17 x 7 + 5 = 128.
        (
            CONV,
            "wgrad",
            1,
            (8, 8),
            1,
            2,
            {"issue": 128, "outputs": (135, 0), "held": 4 * 9 * 3, "streamed": 4 * 9 * 5 * 2},
        ),
    ],
)
def test_tiles_by_hand(layer, pass_name, samples, bits, orientation, planes, expected):
    accelerator = array(4, 2, planes)
    (product,) = lower(layer, pass_name, samples)
    datapath, execution = one_tile(accelerator, product, bits, orientation)
    counters, acc = execution.counters, datapath.accumulator_bits
    assert counters["issue_cycles"] == expected["issue"]
    written, read = expected["outputs"]
    assert counters["output_buffer_write_bits"] == written * acc
    assert counters["output_buffer_read_bits"] == (read + product.output_words) * acc  # and once for the store
    assert counters["weight_buffer_read_bits"] == expected["held"] * 8
    assert counters["input_buffer_read_bits"] == expected["streamed"] * 8


def test_registers_move_a_word_a_cycle_of_every_fill():
    """6 folds on 4 x 2: each of 8 registers moves 4 times along its chain, and with two planes once into the other."""
    (product,) = lower(LINEAR, "forward", 9)
    for planes, moves in ((1, 4), (2, 5)):
        _, execution = one_tile(array(4, 2, planes), product, (8, 8))
        assert execution.counters["weight_planes_write_bits"] == 6 * 8 * moves * 8


def test_the_accumulators_pay_for_the_held_words():
    """Beside the same array without held words: weights are read once, outputs in every fold, all else moves alike."""
    rng, twin = np.random.default_rng(5), load_hardware("int8_16x32_192b").accelerator
    accelerator = load_hardware(NAME).accelerator
    for _ in range(40):
        channels, outputs, side, samples = (int(n) for n in rng.integers(1, [70, 70, 9, 4]))
        layer = Layer("layer", "conv", 1, channels, outputs, side + 2, side + 2, 3, 3, 1, 1, 1, 1, 1, 1)
        (product,) = lower(layer, str(rng.choice(["forward", "wgrad"])), samples)
        bits = tuple(int(b) for b in rng.integers(1, 17, 2))
        (_, held), (_, read_each_cycle) = (one_tile(a, product, bits) for a in (accelerator, twin))
        same = {
            "dram_read_bits",
            "dram_write_bits",
            "bit_products",
            "column_steps",
            "accumulated_bits",
            "input_buffer_read_bits",
            "input_buffer_write_bits",
        }
        assert {k: held.counters[k] for k in same} == {k: read_each_cycle.counters[k] for k in same}
        assert held.counters["weight_buffer_read_bits"] <= read_each_cycle.counters["weight_buffer_read_bits"]
        assert held.counters["output_buffer_write_bits"] >= read_each_cycle.counters["output_buffer_write_bits"]
        assert held.counters["issue_cycles"] >= read_each_cycle.counters["issue_cycles"] + 16


def test_both_operands_of_a_weight_gradient_are_stored_twice_as_on_its_twin(trace_folder):
    """The copies packed along positions: the same bits on either dataflow, at the same widths in memory."""
    trace = bitsim.open_trace(trace_folder())
    names = (NAME, "int8_16x32_192b")
    held, twin = (bitsim.simulate(trace, load_hardware(name)).totals["wgrad_copy_bits"] for name in names)
    assert held == twin > 0
