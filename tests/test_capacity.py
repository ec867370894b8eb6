"""What a tile occupies of the bit-flexible array's banks, word by word, and which orientations and granules it has."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.mapping.candidates import shapes, tilings
from bitsim.workload import Layer, lower
from tests.test_workload import conv_layers

ROWS, COLS = 3, 2


def machine(**keys):
    return load_hardware("bitfusion_16x32_192b", {"array.rows": ROWS, "array.cols": COLS} | keys).accelerator


def words_by_bank(tile, orientation, flattened):
    """{role: words of each bank of one group}: the reduction walks over the rows, outputs over the columns.

    Source: docs/microarchitecture.md, point 18.
    """
    positions, pixels = tile.positions.item(), (tile.batch * tile.input_rows * tile.input_cols).item()
    outputs, channels, taps = tile.outputs.item(), tile.channels.item(), tile.taps
    words = {role: Counter() for role in ("input", "weight", "output")}
    if tile.writes_filter:  # reduced over positions
        words["input"].update(p % ROWS for p, _ in itertools.product(range(pixels), range(channels)))
        words["weight"].update(p % ROWS for p, _ in itertools.product(range(positions), range(outputs)))
        columns, others = (outputs, channels) if orientation == "normal" else (channels, outputs)
        stream = others * taps
    elif flattened:  # the input is laid out anew, a row of the matrix for each position
        reduction = channels * taps
        words["input"].update(k % ROWS for _, k in itertools.product(range(positions), range(reduction)))
        words["weight"].update(k % ROWS for _, k in itertools.product(range(outputs), range(reduction)))
        columns, stream = outputs, positions
    else:
        words["input"].update(c % ROWS for _, c in itertools.product(range(pixels), range(channels)))
        for_each = itertools.product(range(outputs), range(taps), range(channels))
        words["weight"].update(c % ROWS for _, _, c in for_each)
        columns, stream = (outputs, positions) if orientation == "normal" else (positions, outputs)
    words["output"].update(c % COLS for c, _ in itertools.product(range(columns), range(stream)))
    return words


@settings(max_examples=120, deadline=None)
@given(
    conv_layers(), st.sampled_from(["forward", "dgrad", "wgrad"]), st.sampled_from(["per-tap", "flattened"]), st.data()
)
def test_all_banks_are_as_large_as_the_fullest(layer, pass_name, packing, data):
    array = machine(lane_packing=packing)
    bits = data.draw(st.sampled_from([2, 4, 8, 12])), data.draw(st.sampled_from([2, 4, 8]))
    for product in lower(layer, pass_name, 2):
        datapath = array.datapath(product, *bits, 8)
        orientation = data.draw(st.sampled_from(array.orientations(product)))
        every = tilings(product, array.granules(product, datapath, orientation), array.axes_alike)
        spots, inner = every.shape
        choice = data.draw(st.integers(0, spots * inner - 1))
        tile = shapes(product, every.chosen(np.array([choice]))[0])
        flattened = packing == "flattened" and product.taps > 1
        banks = words_by_bank(tile, orientation.name, flattened)
        width = {"input": datapath.buffer_bits[0], "weight": datapath.buffer_bits[1]}
        width["output"] = datapath.accumulator_bits
        count = {"input": ROWS, "weight": ROWS, "output": COLS}
        expected = {
            role: int(np.max(tile.groups)) * count[role] * max(found.values(), default=0) * width[role]
            for role, found in banks.items()
        }
        found = array.footprint_bits(product, datapath, orientation, tile)
        assert {role: int(value[0]) for role, value in found.items()} == expected


ONE, PADDED, STRIDED, THREE = (
    Layer("layer", "conv", 1, 4, 4, 6, 6, kernel, kernel, stride, stride, pad, pad, pad, pad)
    for kernel, stride, pad in ((1, 1, 0), (1, 1, 1), (1, 2, 0), (3, 1, 0))
)


@pytest.mark.parametrize(
    ("layer", "pass_name", "both"),
    [
        (ONE, "forward", True),
        (ONE, "dgrad", True),
        (PADDED, "forward", False),
        (STRIDED, "forward", False),
        (THREE, "forward", False),
        (THREE, "dgrad", False),
        (THREE, "wgrad", True),
        (STRIDED, "wgrad", True),
        (Layer("layer", "linear", 1, 4, 4), "forward", True),
    ],
)
def test_only_products_without_a_window_may_swap_their_operands(layer, pass_name, both):
    """In columns, neighbouring positions would each need a copy of the pixels they share."""
    product = lower(layer, pass_name, 1)[0]
    listed = machine().orientations(product)
    assert [o.name for o in listed] == (["normal", "swapped"] if both else ["normal"])
    assert listed[0].holds == {"input": "input_buffer", "weight": "weight_buffer", "output": "output_buffer"}
    if both:
        assert listed[1].holds == {"input": "weight_buffer", "weight": "input_buffer", "output": "output_buffer"}


@pytest.mark.parametrize(
    ("layer", "pass_name", "packing", "expected"),
    [
        # 4 bits x 2 bits on 8-bit units: 2 x 4 products a unit, 3 rows: 24 lanes over channels
        (ONE, "forward", "per-tap", [{"channels": 24, "outputs": 2}, {"channels": 24, "outputs": 1}]),
        (THREE, "forward", "per-tap", [{"channels": 24, "outputs": 2}]),
        (THREE, "forward", "flattened", [{"outputs": 2}]),
        (ONE, "forward", "flattened", [{"channels": 24, "outputs": 2}, {"channels": 24, "outputs": 1}]),
        (THREE, "wgrad", "per-tap", [{"outputs": 2}, {"channels": 2}]),
    ],
)
def test_granules_are_the_sizes_below_which_lanes_idle(layer, pass_name, packing, expected):
    array = machine(lane_packing=packing)
    product = lower(layer, pass_name, 1)[0]
    datapath = array.datapath(product, 4, 2, 8)
    assert [array.granules(product, datapath, o) for o in array.orientations(product)] == expected
