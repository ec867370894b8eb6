"""Row stationary: published cycles and active PEs, and conservation on every mapping."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.row_stationary import fold_and_replicate, sets_at_once, shape_of
from bitsim.accelerators.seam import DIMENSIONS, ceil_div
from bitsim.errors import InputError
from bitsim.mapping import Mapping, execute
from bitsim.mapping.batch import cut
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.mapping.spots import spots_from
from bitsim.simulation.cost import CostModel
from bitsim.workload import Layer, Widths, lower
from tests.test_counters import RATE, count, play
from tests.test_workload import conv_layers

ROWS = [
    row for row in csv.DictReader((Path(__file__).parent / "data" / "eyeriss_256pe_layers.csv").open()) if row["kernel"]
]
# JSSC 2017, Table V: input side, kernel, stride, output rows of AlexNet's convolutions, active PEs.
ALEXNET = [(11, 55, 154), (5, 27, 135), (3, 13, 156), (3, 13, 156), (3, 13, 156)]
MACHINE = load_hardware("eyeriss_16x16_128k")


def whole(product):
    return Mapping("row-stationary", tuple(dimension_sizes(product).values()), ORDERS[0])


def published_layer(row):
    kernel, out, stride = int(row["kernel"]), int(row["out_size"]), int(row["stride"])
    side = (out - 1) * stride + kernel
    channels, outputs = int(row["in_channels"]), int(row["out_channels"])
    return Layer(row["layer"], "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)


def mac_cycles(shape, fold, groups, channel_sets):
    """Cycles the PEs need: ceil(C/ifm)·ceil(M/ofm)·N·fw·fh·S·F (the published fold-and-replicate count)."""
    channels, outputs, beside = sets_at_once(shape, fold, channel_sets)
    passes = ceil_div(groups, beside) * ceil_div(shape.channels, channels) * ceil_div(shape.outputs, outputs)
    return passes * shape.images * fold.segments * fold.height_folds * shape.filter_cols * shape.output_cols


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['network']}-{r['layer']}")
def test_published_cycles(row):
    """ceil(C/ifm)·ceil(M/ofm)·N·fw·fh·S·F, for the split of replicas the published search chose (least energy)."""
    layer, batch = published_layer(row), int(row["batch"])
    (product,) = lower(layer, "forward", batch)
    tile = _tile(product)
    shape = shape_of(tile)
    fold = fold_and_replicate(shape.filter_rows, shape.output_rows, 16, 16)
    vertical = fold.replicas_vertical.item()
    splits = [d for d in range(1, vertical + 1) if vertical % d == 0]
    cycles = {mac_cycles(shape, fold, 1, split).item() for split in splits}
    assert int(row["cycles"]) in cycles
    assert layer.macs(batch) == float(row["alu_units"])


def _tile(product):
    from bitsim.mapping.candidates import shapes

    return shapes(product, np.array([list(dimension_sizes(product).values())]))


@pytest.mark.parametrize(("kernel", "out", "active"), ALEXNET)
def test_active_pes_of_the_chip(kernel, out, active):
    assert int(fold_and_replicate(kernel, out, 12, 14).active_pes) == active


@settings(max_examples=100, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(["eyeriss_12x14_108k", "eyeriss_16x16_128k"]))
def test_words_are_conserved(data, layer, batch, name):
    """Operations, filter words and psum words of any mapping, counted by playing its loops."""
    machine = load_hardware(
        name, {"array.rows": data.draw(st.integers(1, 12)), "array.cols": data.draw(st.integers(1, 14))}
    )
    accelerator = machine.accelerator
    product = data.draw(st.sampled_from(lower(layer, data.draw(st.sampled_from(layer.passes())), batch)))
    if not product.taps:
        return
    datapath = accelerator.datapath(product, 16, 16, None if product.writes_filter else 16)
    sizes = dimension_sizes(product)
    tile = tuple(data.draw(st.integers(1, sizes[d])) for d in DIMENSIONS)
    mapping = Mapping("row-stationary", tile, data.draw(st.sampled_from(ORDERS)))
    orientation = accelerator.orientations(product)[0]
    got = execute(product, accelerator, datapath, orientation, mapping, RATE).counters
    read, written, macs, _ = count(product, datapath, mapping)
    assert (got["dram_read_bits"], got["dram_write_bits"]) == (read, written)
    assert got["macs"] == macs
    steps = list(play(product, mapping))
    assert got["filter_buffer_read_bits"] == sum(words["weight"] for _, _, words, _, _ in steps) * 16
    # Every psum written to the global buffer is read once: by the next round, or by the store.
    loads = sum(words["input"] for _, moved, words, _, _ in steps if moved["input"]) * 16
    psum_writes = got["global_buffer_write_bits"] - loads
    inputs_read = got["global_buffer_read_bits"] - psum_writes
    assert inputs_read >= sum(words["input"] for _, _, words, _, _ in steps) * 16
    issued = product.nominal_macs
    assert got["issue_cycles"] * accelerator.rows * accelerator.cols >= issued
    assert got["input_spad_read_bits"] == got["weight_spad_read_bits"] == macs * 16


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 80), st.integers(1, 20), st.integers(1, 20))
def test_folds_hold_the_whole_set(filter_rows, output_rows, rows, cols):
    fold = fold_and_replicate(filter_rows, output_rows, rows, cols)
    assert fold.active_pes <= rows * cols
    sets = min(rows // filter_rows, 1) if filter_rows <= rows else 1
    assert sets == 1
    assert fold.height_folds * rows >= filter_rows
    spare = fold.replicas_vertical * fold.replicas_horizontal
    assert spare >= 1
    assert fold.segments * max(rows // filter_rows, 1) * cols >= output_rows


def test_wide_gradient_rows_are_cut_to_the_spad():
    """Rows of 13 words on a 12-word spad go in two pieces: their psums pass the global buffer twice."""
    layer = {n: Layer("layer", "conv", 1, 1, 1, n + 2, n + 2, 3, 3) for n in (12, 13)}
    writes = {}
    for n, one in layer.items():
        (product,) = lower(one, "wgrad", 1)
        accelerator = load_hardware("eyeriss_12x14_108k", {"array.rows": 16}).accelerator
        datapath = accelerator.datapath(product, 16, 16, None)
        got = execute(product, accelerator, datapath, accelerator.orientations(product)[0], whole(product), RATE)
        writes[n] = got.counters["global_buffer_write_bits"] - (n + 2) ** 2 * 16
    assert writes[13] == 2 * writes[12]


def test_8_bit_layers_cost_16_bit_words_and_wider_ones_passes():
    model = CostModel(load_hardware("eyeriss_12x14_108k"))
    layer = Layer("layer", "conv", 1, 16, 16, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1)
    cost = {b: model.pass_cost(layer, "forward", 2, Widths(b, b, b, b, b)).values for b in (4, 8, 16, 20)}
    assert cost[4]["cycles"] == cost[8]["cycles"]
    assert cost[4]["dram_read_bits"] == cost[16]["dram_read_bits"]
    assert (cost[8]["accumulator_bits"], cost[16]["accumulator_bits"]) == (32, 48)
    assert (cost[20]["passes"], cost[16]["passes"]) == (4, 1)
    assert cost[20]["issue_cycles"] > 2 * cost[16]["issue_cycles"]  # one pass waits for the psum network


def test_zero_inserted_gradients_cost_more_than_phases():
    layer = Layer("layer", "conv", 1, 32, 32, 16, 16, 3, 3, 2, 2, 1, 1, 1, 1)
    cycles = {}
    for how in ("phases", "zero-inserted"):
        model = CostModel(load_hardware("eyeriss_12x14_108k", {"dgrad": how}))
        cost = model.pass_cost(layer, "dgrad", 4, Widths(8, 8, 8, 8, 8)).values
        cycles[how] = cost["issue_cycles"]
        assert cost["macs"] == layer.macs(4)
    assert 1.5 < cycles["zero-inserted"] / cycles["phases"] <= 6


def test_depthwise_fills_replicas_with_groups():
    """Four sets of 3 x 14 PEs at work, unless the input network, one word a cycle, holds them back."""
    layer = Layer("layer", "conv", 32, 32, 32, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1)
    issue = {}
    for words in (1, 1024):
        model = CostModel(load_hardware("eyeriss_12x14_108k", {"networks.input_words_per_cycle": words}))
        issue[words] = model.pass_cost(layer, "forward", 1, Widths(8, 8, 8, 8, 8)).values["issue_cycles"]
    pixels = 32 * 14 * 14
    assert issue[1] >= pixels > issue[1024] >= layer.macs(1) / (4 * 3 * 14)


@settings(max_examples=60, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(["trace", "accumulator"]))
def test_issue_cycles_of_the_ranking_are_those_of_the_program(data, layer, batch, outputs):
    """Tiles that accumulate read their psums over the network: the closed form counts them in every order."""
    machine = load_hardware("eyeriss_12x14_108k", {"outputs": outputs, "array.rows": data.draw(st.integers(2, 6))})
    accelerator = machine.accelerator
    product = data.draw(st.sampled_from(lower(layer, data.draw(st.sampled_from(layer.passes())), batch)))
    if not product.taps:
        return
    datapath, orientation = accelerator.datapath(product, 16, 16, None), accelerator.orientations(product)[0]
    sizes = dimension_sizes(product)
    tile = tuple(data.draw(st.integers(1, sizes[d])) for d in DIMENSIONS)
    table = np.array([tile])
    spots = spots_from(table[:, 1:4], product.batch, product.rows, product.cols)
    found = cut(product, accelerator, datapath, orientation, table, spots, np.zeros(1, np.int64), RATE)
    (ranked,) = found.issue_cycles
    mapping = Mapping("row-stationary", tile, data.draw(st.sampled_from(ORDERS)))
    assert ranked == execute(product, accelerator, datapath, orientation, mapping, RATE).counters["issue_cycles"]


def test_truncated_psums_are_one_word_and_take_less_of_the_network():
    """The chip's 16-bit psums against accumulators that hold the sum."""
    layer = Layer("layer", "conv", 1, 64, 64, 13, 13, 3, 3, 1, 1, 1, 1, 1, 1)
    cost = {}
    for bits, policy in ((32, "widen"), (16, "truncate")):
        model = CostModel(load_hardware("eyeriss_16x16_128k", {"accumulator.bits": bits, "accumulator.policy": policy}))
        cost[policy] = model.pass_cost(layer, "forward", 4, Widths(16, 16, 16, 16, 16)).values
    assert (cost["widen"]["accumulator_bits"], cost["truncate"]["accumulator_bits"]) == (48, 16)
    assert cost["truncate"]["required_accumulator_bits"] == 16 + 16 - 1 + 10
    assert cost["truncate"]["issue_cycles"] < cost["widen"]["issue_cycles"]


@pytest.mark.parametrize(("key", "least"), [("input_spad", 2), ("weight_spad", 4)])
def test_spads_hold_a_word_of_all_slices(key, least):
    """20 bits are two slices; the weight spad has two halves."""
    layer = Layer("layer", "conv", 1, 2, 2, 4, 4, 3, 3)
    for words in (least, least - 1):
        model = CostModel(load_hardware("eyeriss_12x14_108k", {key: f"{words} words"}))
        if words == least:
            model.pass_cost(layer, "forward", 1, Widths(20, 20, 20, 20, 20))
            continue
        with pytest.raises(InputError, match=f"{key}: {words} words .* at least {least} words"):
            model.pass_cost(layer, "forward", 1, Widths(20, 20, 20, 20, 20))
