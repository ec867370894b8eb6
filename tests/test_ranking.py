"""The kernels that rank equal their slow twins: numpy, order by order, and sorting everything."""

import itertools
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim import data, load_hardware
from bitsim.accelerators.seam import DIMENSIONS, OUTPUT, TileTime
from bitsim.kernels import ranking as kernels
from bitsim.kernels.cutting import BEATS_IN, BEATS_STORED, BEATS_WEIGHT
from bitsim.mapping import ranking
from bitsim.mapping.batch import cut
from bitsim.mapping.candidates import MOST_AROUND, NEAR, around, fitting, most_channels, tilings
from bitsim.mapping.record import ORDERS, POSITIONS, dimension_sizes, size_table, touches
from bitsim.mapping.search import search, shortlists
from bitsim.mapping.shortlist import QUICK
from bitsim.mapping.spots import boxes_of, ceil_splits
from bitsim.simulation.cost import CostModel
from bitsim.workload import Layer, lower
from tests.test_workload import conv_layers
from tests.traffic_one_by_one import dram_bits

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k")
TILES_APART = [kernels.GROUP_TILES, kernels.OUTPUT_TILES, kernels.CHANNEL_TILES]


def ranked(data, layer, samples, name, outputs):
    """(ranking, what fits (S, I), tilings, tables of orders, arguments of all) of one product of `layer`."""
    machine = load_hardware(name, {"outputs": outputs})
    accelerator = machine.accelerator
    product = data.draw(st.sampled_from(lower(layer, data.draw(st.sampled_from(layer.passes())), samples)))
    datapath = accelerator.datapath(product, 4, 8, None if product.writes_filter else 4)
    orientation = data.draw(st.sampled_from(accelerator.orientations(product)))
    every = tilings(product, accelerator.granules(product, datapath, orientation), accelerator.axes_alike)
    grid = every.grid(product)
    time = accelerator.tile_time(product, datapath, orientation, grid)
    found = ranking.Ranking(product, accelerator, datapath, every, time, machine.rate, machine.port)
    fits = np.broadcast_to(fitting(product, accelerator, datapath, orientation, grid), every.shape)
    return machine, product, datapath, orientation, every, found, fits


@settings(max_examples=100, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(data.names("hw_configs", ".yaml")))
def test_time_of_a_tile_is_that_of_its_cost(draws, layer, samples, name):
    """Every machine may tell the cycles of a tile without its counters: the same cycles."""
    accelerator = load_hardware(name).accelerator
    product = draws.draw(st.sampled_from(lower(layer, draws.draw(st.sampled_from(layer.passes())), samples)))
    bits = draws.draw(st.tuples(*[st.sampled_from([2, 4, 8])] * 2))
    datapath = accelerator.datapath(product, *bits, None if product.writes_filter else 8)
    for orientation in accelerator.orientations(product):
        every = tilings(product, accelerator.granules(product, datapath, orientation), accelerator.axes_alike)
        what = product, datapath, orientation, every.grid(product)
        time, cost = accelerator.tile_time(*what), accelerator.tile_cost(*what)
        for field in fields(TileTime):
            assert np.array_equal(getattr(time, field.name), getattr(cost, field.name)), field.name


def one_by_one(found, every, writes_filter, number, issue, order):
    """(cycles of all tiles, cycles with both ends, DRAM bits) of one tiling and order by the kernels' own formulas."""
    s, i = divmod(number, every.shape[1])
    spot, inner = every.spots.ranked[s], every.inner_ranked[i]
    positions, (groups, outputs, channels) = spot[kernels.TILES], inner[TILES_APART]
    weight, output = (channels, positions) if writes_filter else (positions, channels)
    tables = ranking.order_tables(writes_filter)
    code = tables.refetched[kernels.pattern_of(positions, outputs, channels), order]
    once = spot[kernels.SWEEP_WORDS] * found.constants[kernels.INPUT_BITS]
    bits = kernels.dram_bits(code, outputs, weight, output, once, found.constants)
    tiles = groups * positions * outputs * channels
    steady = kernels.steady_cycles(code, outputs, weight, output, tiles, issue, once, found.constants)
    ends = kernels.ends_of(spot, inner, issue, writes_filter, once, found.constants)
    return steady[0], kernels.with_ends(steady, *ends, found.constants), bits


def played(found, every, writes_filter, number, issue, order):
    """Cycles of all tiles, one by one: which operands change is seen from the loops, not from closed forms."""
    s, i = divmod(number, every.shape[1])
    (positions, words), (groups, outputs, channels) = every.spots.ranked[s, :2], every.inner_ranked[i, TILES_APART]
    trips = {"positions": int(positions), "outputs": int(outputs), "channels": int(channels)}
    blocks = list(dict.fromkeys("positions" if d in POSITIONS else d for d in ORDERS[order][1:]))
    uses = {
        "input": ("positions", "channels"),
        "weight": ("positions", "outputs") if writes_filter else ("outputs", "channels"),
        "output": ("outputs", "channels") if writes_filter else ("positions", "outputs"),
    }
    at, tiles = found.constants, groups * positions * outputs * channels
    once = {
        "input": words * at[kernels.INPUT_BITS],
        "weight": at[kernels.WEIGHT_BITS_ONCE],
        "psum": at[kernels.PSUM_BITS_ONCE],
        "output": at[kernels.OUTPUT_BITS_ONCE],
    }
    beats = {
        name: bits
        * at[kernels.CYCLES_A_BIT]
        / (groups * np.prod([trips[b] for b in uses[name.replace("psum", "output")]]))
        for name, bits in once.items()
    }
    steps = list(itertools.product(*(range(trips[b]) for b in blocks)))
    seen = [
        {role: tuple(v for b, v in zip(blocks, step, strict=True) if b in uses[role]) for role in uses}
        for step in steps
    ]
    changes = [{role for role in uses if n == 0 or seen[n][role] != seen[n - 1][role]} for n in range(len(seen))]
    visits = sum("output" in changed for changed in changes) / len({one["output"] for one in seen})
    reload = beats["psum"] * (visits - 1 + at[kernels.SPILLED]) / visits
    store = (beats["psum"] * (visits - 1) + beats["output"]) / visits
    work = issue / tiles + at[kernels.SETUP_CYCLES]
    latency, drain = at[kernels.LATENCY_CYCLES], at[kernels.DRAIN_CYCLES]
    cycles = 0
    for changed in changes:
        new = "output" in changed
        loads = sum(beats[role] for role in ("input", "weight") if role in changed) + (reload if new else 0)
        moving = loads + (store + 2 if new else 1)
        way = 1 + latency + drain + work + loads
        cycles += groups * max(work if new else work + drain - 1, moving, way / 2)
    return cycles


@settings(max_examples=60, deadline=None)
@given(
    st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(MACHINES), st.sampled_from(["trace", "accumulator"])
)
def test_estimates_equal_their_twin(data, layer, samples, name, outputs):
    machine, product, datapath, orientation, every, found, _ = ranked(data, layer, samples, name, outputs)
    last = every.shape[0] * every.shape[1] - 1
    numbers = np.array(data.draw(st.lists(st.integers(0, last), min_size=1, max_size=5)), np.int64)
    table = every.chosen(numbers)[0]
    spot_of = numbers // every.shape[1]
    parts = cut(product, machine.accelerator, datapath, orientation, table, every.spots, spot_of, machine.rate)
    twin = dram_bits(product, machine.accelerator, datapath, table)
    for place, number in enumerate(numbers.tolist()):
        for order in range(kernels.ORDERS):
            args = found, every, product.writes_filter, number, float(parts.issue_cycles[place]), order
            cycles, _, bits = one_by_one(*args)
            assert bits == twin[place, order]
            assert cycles == pytest.approx(played(*args))


def issue_of_all(machine, product, every, time):
    """(S, I) issue cycles of all tiles, each charged the share of a full one it fills, from sizes alone."""
    first, later = time.issue_cycles, time.accumulating_issue_cycles
    if machine.accelerator.config.outputs == "accumulator":
        first = later  # every tile adds to what is already there
    table = every.chosen(np.arange(every.shape[0] * every.shape[1]))[0]
    shares = dict(zip(DIMENSIONS, (size_table(product) / table).T, strict=True))
    tiles = np.prod(list(shares.values()), axis=0).reshape(every.shape)
    firsts = np.prod([shares[name] for name in touches(product.writes_filter)[OUTPUT]], axis=0).reshape(every.shape)
    return firsts * first + (tiles - firsts) * later


@settings(max_examples=60, deadline=None)
@given(
    st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(MACHINES), st.sampled_from(["trace", "accumulator"])
)
def test_least_traffic_is_that_of_the_best_order(data, layer, samples, name, outputs):
    _, product, _, _, every, found, _ = ranked(data, layer, samples, name, outputs)
    number = data.draw(st.integers(0, every.shape[0] * every.shape[1] - 1))
    s, i = divmod(number, every.shape[1])
    positions, (_, outputs, channels) = every.spots.ranked[s, kernels.TILES], every.inner_ranked[i, TILES_APART]
    missed = (channels, positions) if product.writes_filter else (positions, channels)
    once = every.spots.ranked[s, kernels.SWEEP_WORDS] * found.constants[kernels.INPUT_BITS]
    least = kernels.least_dram_bits(outputs, *missed, once, found.constants)
    args = found, every, product.writes_filter, number, 1.0
    assert least == min(one_by_one(*args, order)[2] for order in range(kernels.ORDERS))


@settings(max_examples=100, deadline=None)
@given(
    st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(MACHINES), st.sampled_from(["trace", "accumulator"])
)
def test_leading_tilings_are_those_of_sorting_all(data, layer, samples, name, outputs):
    """Nothing left out early would have led: the fewest cycles and the least traffic of each list are found."""
    machine, product, datapath, _, every, _, fits = ranked(data, layer, samples, name, outputs)
    if not fits.any():
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    first, later = rng.integers(1, 1000, (2, *every.shape))  # any machine's
    time = TileTime(issue_cycles=first, drain_cycles=3, accumulating_issue_cycles=later)
    found = ranking.Ranking(product, machine.accelerator, datapath, every, time, machine.rate, machine.port)
    issue = issue_of_all(machine, product, every, time)
    assert issue[-1, -1] == found.whole_issue_cycles
    best = {}
    for s, i in np.argwhere(fits).tolist():
        number = s * every.shape[1] + i
        found_here = [
            one_by_one(found, every, product.writes_filter, number, issue[s, i], order)[1:]
            for order in range(kernels.ORDERS)
        ]
        best[number] = min(found_here), min((bits, cycles) for cycles, bits in found_here)
    effort = ranking.Effort(data.draw(st.sampled_from([2, QUICK.cut])), QUICK.timed)  # of few: something is left out
    leading = set(found.best_tilings(fits, effort).tolist())
    for place in range(2):
        values = sorted(value[place] for value in best.values())[: effort.cut]
        kept = sorted(best[number][place] for number in leading)[: len(values)]
        np.testing.assert_allclose(kept, values, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 6), st.sampled_from(MACHINES))
def test_ends_of_tilings_without_edges_are_those_of_their_tiles(data, layer, samples, name):
    """What the first tile loads and the last one stores, from shares, and from the tiles cut and priced."""
    machine, product, datapath, orientation, every, found, _ = ranked(data, layer, samples, name, "trace")
    number = data.draw(st.integers(0, every.shape[0] * every.shape[1] - 1))
    s, i = divmod(number, every.shape[1])
    spot, inner = every.spots.ranked[s], every.inner_ranked[i]
    once = spot[kernels.SWEEP_WORDS] * found.constants[kernels.INPUT_BITS]
    moved, _ = kernels.ends_of(spot, inner, 1.0, product.writes_filter, once, found.constants)
    table = every.chosen(np.array([number]))[0]
    parts = cut(product, machine.accelerator, datapath, orientation, table, every.spots, np.array([s]), machine.rate)
    if not product.taps or len(product.rows.taps) * len(product.cols.taps) > 1 or spot[kernels.TILES] > 1:
        return  # halos, paddings and strides are in one and not in the other
    first, last = parts.costs[0], parts.costs[-1]
    beats = first[BEATS_IN] + first[BEATS_WEIGHT] + last[BEATS_STORED]
    assert moved == pytest.approx(beats, abs=3)


def shortlisted(layer, pass_name, samples, bits):
    """(fewest cycles, tiles) of the quick and of the thorough shortlist of a product's first orientation."""
    machine = load_hardware("bitfusion_16x32_192b")
    model = CostModel(machine)
    (product,) = lower(layer, pass_name, samples)
    datapath = machine.accelerator.datapath(product, *bits, None if product.writes_filter else bits[0])
    setting, _ = model.searched_with(datapath, 0.0)
    return product, shortlists(product, setting)


def test_tiles_of_several_samples_of_a_part_of_the_map():
    """A layer whose best mapping has them: 5 % fewer cycles than with whole maps or parts of one sample."""
    layer = Layer("layer", "conv", 1, 19, 32, 29, 29, 3, 3)
    product, listed = shortlisted(layer, "wgrad", 7, (2, 8))
    best = min(listed, key=lambda one: one.cycles.min())
    batch, rows, cols = best.table[int(best.cycles.argmin()), 1:4].tolist()
    assert batch > 1
    assert rows * cols < product.rows.positions * product.cols.positions


@pytest.mark.parametrize(
    "layer, pass_name, samples, bits, most",
    [
        (Layer("layer", "conv", 1, 150, 167, 9, 9, 7, 7), "forward", 15, (4, 6), 299_024),
        (Layer("layer", "conv", 1, 24, 104, 13, 13, 7, 7), "dgrad", 1, (3, 6), 58_663),
        (Layer("layer", "conv", 1, 187, 128, 17, 17, 7, 7), "forward", 6, (2, 8), 1_389_580),
    ],
)
def test_lanes_that_need_not_idle(layer, pass_name, samples, bits, most):
    """Pairs of outputs and channels that just fit: the lists of sizes alone were 13 to 22 % above the best of all."""
    _, listed = shortlisted(layer, pass_name, samples, bits)
    assert min(int(one.cycles.min()) for one in listed) <= 1.01 * most


def test_samples_innermost_where_edges_are_uneven():
    """Small edge tiles last: 3 % fewer cycles than samples outermost."""
    layer = Layer("layer", "conv", 1, 40, 126, 13, 13, 1, 1, 2, 2)
    machine = load_hardware("bitfusion_16x32_192b")
    product = lower(layer, "dgrad", 5)[0]
    setting, score = CostModel(machine).searched_with(machine.accelerator.datapath(product, 4, 2, 4), 0.0)
    (best,) = search(product, setting, score)
    assert best.mapping.order.index("batch") > best.mapping.order.index("rows")
    assert best.cycles <= 1138 * 1.001


def test_tilings_with_the_most_channels():
    """Of those that differ in channels alone the last; of none, none: nothing beside the leading ones may fit."""
    table = np.array([[1, 1, 4, 4, 8, 2], [1, 1, 4, 4, 8, 3], [1, 1, 4, 4, 9, 1], [1, 2, 4, 4, 9, 1]])
    assert most_channels(table).tolist() == [False, True, True, True]
    assert most_channels(table[:0]).tolist() == []


@given(conv_layers(), st.integers(1, 3), st.data())
def test_tilings_around_others(layer, samples, data):
    """They themselves, and what is within a factor; of sizes that are no ceil-splits, too."""
    product = lower(layer, data.draw(st.sampled_from(layer.passes())), samples)[0]
    sizes = dimension_sizes(product)
    tile = [data.draw(st.integers(1, sizes[d])) for d in DIMENSIONS]
    boxes = boxes_of(product.batch, product.rows, product.cols)
    tile[1:4] = boxes.table[data.draw(st.integers(0, len(boxes.table) - 1))].tolist()
    if tile[0] > 1:
        tile[4:] = product.outputs, product.channels
    every = around(product, np.array([tile], np.int64))
    table, places = every.chosen(np.arange(every.shape[0] * every.shape[1]))
    np.testing.assert_array_equal(boxes.table[places], table[:, 1:4])
    assert tile in table.tolist()
    positions = table[:, 1:4].prod(axis=1) / np.prod(tile[1:4])
    of_each = np.column_stack((positions, table[:, 4] / tile[4], table[:, 5] / tile[5]))
    assert (np.maximum(of_each, 1 / of_each) <= NEAR[0]).all()


@pytest.mark.parametrize(
    "channels, outputs, tile",
    [
        (96, 384, [1, 4, 14, 14, 64, 32]),
        (10_000_000, 1_000_000, [1, 1, 2, 2, 64, 32]),
        (10_000_000, 1_000_000, [1, 4, 14, 14, 6400, 3200]),
    ],
)
def test_tilings_around_others_are_few(channels, outputs, tile):
    """Of large batches and of millions of channels only what is nearest: there would be a hundred times as many."""
    product = lower(Layer("layer", "conv", 1, channels, outputs, 56, 56, 3, 3, 1, 1, 1, 1, 1, 1), "forward", 128)[0]
    spots, inner = around(product, np.array([tile])).shape
    assert 1 <= spots * inner <= MOST_AROUND


@pytest.mark.parametrize("size", [1, 2, 12, 144, 145, 999])
def test_ceil_splits_are_all_of_them(size):
    assert ceil_splits(size) == tuple(sorted({-(-size // parts) for parts in range(1, size + 1)}))


def test_ceil_splits_need_no_memory_for_each_channel():
    """They are about twice the root of a size; they were sought among as many numbers as the size."""
    tracemalloc.start()
    try:
        assert len(ceil_splits(10_000_000)) == 6324
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
