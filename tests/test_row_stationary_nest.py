"""Twin: the closed forms of a row-stationary tile equal its loops played one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.row_stationary import distinct, fold_and_replicate, shape_of, split
from bitsim.accelerators.row_stationary_beats import input_words, issue_cycles, slots, traffic
from bitsim.mapping.candidates import shapes
from bitsim.mapping.record import dimension_sizes
from bitsim.workload import lower
from tests.row_stationary_nest import integers, play
from tests.test_eyeriss import mac_cycles
from tests.test_workload import conv_layers


def whole_tile(product):
    """The product as one tile."""
    return shapes(product, np.array([list(dimension_sizes(product).values())]))


def box(axis):
    """(input index under the first position's lowest tap, indices that hold data)."""
    return min(axis.taps), range(0, axis.extent, axis.hole)


def in_one_part(axis, positions, taps):
    """Whether each padding index lies under one block of positions and one of taps, so that reads are exact."""
    owners = {}
    for p in range(axis.positions):
        for number, tap in enumerate(sorted(axis.taps)):
            place = p * axis.stride + tap
            if not 0 <= place < axis.extent or place % axis.hole:
                owners.setdefault(place, set()).add((p // positions, number // taps))
    return all(len(parts) == 1 for parts in owners.values())


@settings(max_examples=200, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 3), st.booleans(), st.booleans())
def test_closed_forms_equal_the_loops(data, layer, batch, zero_inserted, accumulates):
    spads = {"input_spad": data.draw(st.integers(2, 8)), "weight_spad": data.draw(st.integers(4, 40))}
    networks = {f"networks.{n}_words_per_cycle": data.draw(st.integers(1, 5)) for n in ("input", "weight", "psum")}
    array = {"array.rows": data.draw(st.integers(1, 9)), "array.cols": data.draw(st.integers(1, 9))}
    words = {name: f"{count} words" for name, count in (spads | {"psum_spad": data.draw(st.integers(1, 6))}).items()}
    accelerator = load_hardware("eyeriss_12x14_108k", {"precision.bits": 8} | array | words | networks).accelerator
    pass_name = data.draw(st.sampled_from(layer.passes()))
    product = data.draw(st.sampled_from(lower(layer, pass_name, batch, zero_inserted)))
    if not product.taps:
        return
    bits = data.draw(st.sampled_from([(8, 8), (8, 8), (16, 8), (8, 16)]))
    datapath = accelerator.datapath(product, *bits, None)
    slices = datapath.input_slices, datapath.weight_slices
    tile = whole_tile(product)
    shape = shape_of(tile)
    rates = accelerator.rates(datapath)
    rows, cols = (product.rows, product.cols)
    fold = fold_and_replicate(shape.filter_rows, shape.output_rows, accelerator.rows, accelerator.cols)
    for block in accelerator.blockings(datapath, tile):
        one, whole = integers(block), integers(shape)
        cycles, counted = play(whole, one, rates, slices, box(rows), box(cols), accumulates)
        got = issue_cycles(shape, block, datapath.passes, slots(shape, block, slices, rates), accumulates)
        assert int(got.item()) == cycles
        macs = mac_cycles(shape, fold, shape.groups, block.channel_sets) * datapath.passes
        assert cycles >= macs.item()
        moved = traffic(shape, block, input_words(shape, block.cuts))
        assert moved.input_copies.item() == counted["input_copies"]
        assert moved.weight_copies.item() == counted["weight_copies"]
        assert moved.psum_hops.item() == counted["psum_hops"]
        outputs = product.output_words
        assert counted["psum_writes"] == one.psum_rounds * outputs
        assert counted["psum_reads"] == (one.psum_rounds - (not accumulates)) * outputs
        taps, positions = (one.cuts.filter_rows.size, one.cuts.pieces.size), (one.cuts.rows.size, whole.output_cols)
        if product.writes_filter:
            taps, positions = positions, taps
        assert moved.input_reads.item() >= counted["input_reads"]
        if in_one_part(rows, positions[0], taps[0]) and in_one_part(cols, positions[1], taps[1]):
            assert moved.input_reads.item() == counted["input_reads"]


@given(st.integers(1, 12), st.integers(1, 7), st.integers(1, 5), st.integers(1, 5))
def test_distinct_inputs_under_windows(positions, taps, stride, step):
    places = {p * stride + t * step for p in range(positions) for t in range(taps)}
    assert distinct(positions, taps, stride, step) == len(places)


@pytest.mark.parametrize(("total", "most", "parts"), [(13, 12, (2, 7, 6)), (12, 12, (1, 12, 12)), (11, 4, (3, 4, 3))])
def test_blocks_are_even(total, most, parts):
    got = split(total, most)
    assert (got.blocks, got.size, got.last) == parts
