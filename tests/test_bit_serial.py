"""Bit-serial arrays: cycles held to the formulas of Stripes and Loom, loops played, cases by hand, the printed band."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import bitsim
from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.seam import DIMENSIONS
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.technology import logic
from bitsim.workload import Layer, lower
from tests.strategies import random_layer

STRIPES, LOOM = "stripes_like_16x16_192b", "loom_like_16x128_192b"


def one_tile(accelerator, product, bits):
    """(datapath, execution) of a product as one tile."""
    datapath = accelerator.datapath(product, *bits, None if product.writes_filter else 8)
    mapping = Mapping("normal", tuple(dimension_sizes(product).values()), ORDERS[0])
    orientation = accelerator.orientations(product)[0]
    return datapath, execute(product, accelerator, datapath, orientation, mapping, Fraction(192))


def issue(accelerator, layer, samples, bits):
    """Issue cycles of a forward pass as one tile."""
    (product,) = lower(layer, "forward", samples)
    return one_tile(accelerator, product, bits)[1].counters["issue_cycles"]


# 256 filters of 64 channels over 8 x 8 positions: whole groups of windows, filters and bricks in both papers.
FULL = Layer("layer", "conv", 1, 64, 256, 10, 10, 3, 3)


@pytest.mark.parametrize("bits", range(1, 17))
def test_stripes_takes_bits_of_activations_over_sixteen(bits):
    """MICRO 2016: p/16 of the cycles of DaDianNao, which takes 16 channels of 256 filters of a window a cycle."""
    accelerator = load_hardware(STRIPES, {"array.cols": 256, "precision.weight_bits": 16}).accelerator
    bit_parallel = 64 * 9 * (64 // 16) * (256 // 256)
    assert issue(accelerator, FULL, 1, (bits, 16)) * 16 == bit_parallel * bits


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_loom_takes_bits_of_both_over_256(at_once):
    """DAC 2018: Pa Pw / 256 of the cycles of 128 multipliers of 16 x 16 bits; 2, 4 bits at once on fewer windows."""
    changed = {"precision.input_bits_per_cycle": at_once, "array.rows": 16 // at_once}
    accelerator = load_hardware(LOOM, changed).accelerator
    bit_parallel = 64 * 9 * (64 // 16) * (256 // 8)
    for input_bits, weight_bits in itertools.product(range(1, 17), range(1, 17)):
        passing = -(-input_bits // at_once) * at_once
        assert issue(accelerator, FULL, 1, (input_bits, weight_bits)) * 256 == bit_parallel * passing * weight_bits


LAYER = Layer("layer", "conv", 1, 3, 5, 4, 4, 3, 3)


@pytest.mark.parametrize(
    ("name", "pass_name", "bits", "expected"),
    [
        # 4 windows x 2 filters x 2 lanes.  4 positions: 1 group of windows; 5 outputs: 3 of filters; 9 taps x 2
        # bricks of channels: 54 steps of 3 cycles.  9 x 3 inputs of each position in 3 groups of filters: 324 words.
        (STRIPES, "forward", (3, 8), {"issue": 162, "input": 324 * 3, "weight": 135 * 8}),
        # 12-bit weights in two slices: steps of 6 cycles, inputs pass twice.
        (STRIPES, "forward", (3, 12), {"issue": 324, "input": 324 * 3 * 2, "weight": 135 * 16}),
        # 17-bit inputs in two slices of 16.
        (STRIPES, "forward", (17, 8), {"issue": 54 * 32, "input": 324 * 32, "weight": 135 * 8}),
        # Both serial: steps of 3 x 5 cycles, inputs pass for each of 5 weight bits.
        (LOOM, "forward", (3, 5), {"issue": 54 * 15, "input": 324 * 3 * 5, "weight": 135 * 5}),
        # wgrad: 27 filter words of an output in 7 groups of windows, 3 of filters, 2 bricks of 4 positions: 42 steps.
        # 20 gradients are read for each group of windows.
        (STRIPES, "wgrad", (3, 8), {"issue": 42 * 3, "input": 324 * 3, "weight": 20 * 7 * 8}),
        (LOOM, "wgrad", (3, 5), {"issue": 42 * 15, "input": 324 * 3 * 5, "weight": 20 * 7 * 5}),
    ],
)
def test_tiles_by_hand(name, pass_name, bits, expected):
    accelerator = load_hardware(name, {"array.rows": 4, "array.cols": 2, "lanes": 2}).accelerator
    (product,) = lower(LAYER, pass_name, 1)
    datapath, execution = one_tile(accelerator, product, bits)
    counters = execution.counters
    assert counters["issue_cycles"] == expected["issue"]
    assert counters["input_buffer_read_bits"] == expected["input"]
    assert counters["weight_buffer_read_bits"] == expected["weight"]
    # an output leaves its unit once, and is read once for the store
    assert counters["output_buffer_write_bits"] == product.output_words * datapath.accumulator_bits
    assert counters["output_buffer_read_bits"] == product.output_words * datapath.accumulator_bits
    # 4 windows leave one a cycle, behind a register and an SRAM read
    assert set(execution.tiles[:, 5].tolist()) == {4 + 1 + 1}


def played_cycles(accelerator, product, tile, datapath):
    """Issue cycles by playing the loops, of the tile of the given sizes: a step for each group that holds anything."""
    sizes = dict(zip(DIMENSIONS, tile, strict=True))
    positions = list(itertools.product(*(range(sizes[d]) for d in ("batch", "rows", "cols"))))
    taps = list(itertools.product(product.rows.taps, product.cols.taps))
    channels, lanes = list(range(sizes["channels"])), accelerator.lanes
    if product.writes_filter:
        windows, bricks = [*itertools.product(channels, taps)], [positions[i::lanes] for i in range(lanes)]
        steps_of_window = max(len(brick) for brick in bricks)
    else:
        windows, steps_of_window = positions, len(taps) * max(len(channels[i::lanes]) for i in range(lanes))
    blocks = {
        (w // accelerator.windows, o // accelerator.cols) for w in range(len(windows)) for o in range(sizes["outputs"])
    }
    cycles = 0
    for _ in range(sizes["groups"] * len(blocks) * steps_of_window):
        for weight_part in range(accelerator.weight_turns(datapath)):
            assert weight_part < datapath.weight_hw_bits
            cycles += len(range(0, datapath.input_hw_bits, accelerator.precision.input_bits_per_cycle))
    return cycles


@pytest.mark.parametrize("name", [STRIPES, LOOM])
def test_tiles_take_what_their_loops_take(name):
    rng = np.random.default_rng(8)
    for _ in range(60):
        shape = dict(zip(("array.rows", "array.cols", "lanes"), rng.integers(1, 9, 3).tolist(), strict=True))
        accelerator = load_hardware(name, shape).accelerator
        layer = random_layer(rng)
        products = lower(layer, str(rng.choice(layer.passes())), 2)
        product = products[rng.integers(len(products))]
        bits = rng.integers(1, 25, 2).tolist()
        datapath, execution = one_tile(accelerator, product, bits)
        played = played_cycles(accelerator, product, dimension_sizes(product).values(), datapath)
        assert execution.counters["issue_cycles"] == played


def test_the_price_is_the_estimate_it_says():
    """1.35 times the power of 128 units of 16 x 16 bits; the peak, so the bit-flexible array's, at any width."""
    machines = [load_hardware(name).accelerator for name in (STRIPES, LOOM, "bitfusion_16x32_192b")]
    assert {m.peak_bit_products_per_cycle for m in machines} == {32_768}
    prices = machines[1].array_prices()
    power = prices.events[0].pj * 32_768 / (128 * logic.unit_price(16, 16).active_pj_per_cycle)
    assert power == pytest.approx(1.35, abs=0.005)
    assert prices.band == (0.5, 2.0)


def test_the_band_is_printed_with_the_result(trace_folder, bitsim_command):
    for name, printed in ((LOOM, True), ("bitfusion_16x32_192b", False)):
        status, _, err = bitsim_command("run", trace_folder(), "--hw", name, "--iterations", "0:1")
        assert status == 0
        assert ("array_pj may be 0.5 to 2 times what is printed" in err) == printed
    assert "estimate, 0.5x to 2x" in bitsim_command("hw", "area", LOOM)[1]


@pytest.mark.parametrize(
    ("name", "setting", "fault"),
    [
        (STRIPES, "precision.serial=both", "precision: weight_bits is the width of parallel weights"),
        (LOOM, "precision.serial=input", "precision: weight_bits is the width of parallel weights"),
        (LOOM, "precision.serial=neither", "precision.serial: "),
        (LOOM, "lanes=0", "lanes: "),
    ],
)
def test_refusals(bitsim_command, name, setting, fault):
    status, out, err = bitsim_command("hw", "check", name, "--set", setting)
    assert status == 2 and out == "" and fault in err


def test_widths_that_are_refused(trace_folder, bitsim_command):
    for name, most in ((STRIPES, 8), (LOOM, 16)):
        accelerator = load_hardware(name, {"precision.wider": "error"}).accelerator
        assert accelerator.slices_of("weight", most)
        with pytest.raises(bitsim.errors.InputError, match=f"allowed: up to {most}"):
            accelerator.slices_of("weight", most + 1)
