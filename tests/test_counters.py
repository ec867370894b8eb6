"""An independent simulator plays the loops of a mapping and counts; the product must agree.

It knows indices and sets of words only: no closed forms, none of the product's tables.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.seam import DIMENSIONS
from bitsim.errors import InputError, MappingError
from bitsim.kernels.event import event_cycles
from bitsim.kernels.program import (
    FLAGS,
    INPUT_BEATS,
    ISSUE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    WEIGHT_BEATS,
)
from bitsim.mapping import Mapping, execute, program
from bitsim.mapping.candidates import fitting, tilings
from bitsim.mapping.program import beats, exact_sum
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.workload import Layer, lower
from tests.test_workload import conv_layers
from tests.traffic_one_by_one import dram_bits

RATE = Fraction(192)
MACHINES = [
    "bitfusion_16x32_192b",
    "int8_16x32_192b",
    "weight_stationary_int8_16x32_192b",
    "stripes_like_16x16_192b",
    "loom_like_16x128_192b",
]


def play(product, mapping):
    """Walk the tiles in order; per tile the sets of words of each operand, by index."""
    sizes = dimension_sizes(product)
    tile = dict(zip(DIMENSIONS, mapping.tile, strict=True))
    ranges = [range(-(-sizes[d] // tile[d])) for d in mapping.order]
    before = {}
    for place in itertools.product(*ranges):
        at = dict(zip(mapping.order, place, strict=True))
        own = {d: range(at[d] * tile[d], min(sizes[d], (at[d] + 1) * tile[d])) for d in DIMENSIONS}
        inputs, real = set(), 0
        for b, y, x in itertools.product(own["batch"], own["rows"], own["cols"]):
            for ty, tx in itertools.product(product.rows.taps, product.cols.taps):
                iy, ix = y * product.rows.stride + ty, x * product.cols.stride + tx
                axes = ((iy, product.rows), (ix, product.cols))
                if all(0 <= i < a.extent and i % a.hole == 0 for i, a in axes):
                    inputs.add((b, iy, ix))
                    real += 1
        groups, n, c = len(own["groups"]), len(own["outputs"]), len(own["channels"])
        positions = len(own["batch"]) * len(own["rows"]) * len(own["cols"])
        filters, maps = n * c * product.taps, positions * n
        words = {
            "input": groups * len(inputs) * c,
            "weight": groups * (maps if product.writes_filter else filters),
            "output": groups * (filters if product.writes_filter else maps),
        }
        spot = (at["groups"], at["batch"], at["rows"], at["cols"])
        keys = {
            "input": (*spot, at["channels"]),
            "weight": (*spot, at["outputs"]) if product.writes_filter else (spot[0], at["outputs"], at["channels"]),
            "output": (spot[0], at["outputs"], at["channels"]) if product.writes_filter else (*spot, at["outputs"]),
        }
        moved = {role: before.get(role) != key for role, key in keys.items()}
        before = keys
        yield keys, moved, words, real * groups * n * c, (groups, positions, n, c)


def count(product, datapath, mapping):
    """DRAM bits read and written, real MACs and tiles, by playing."""
    steps = list(play(product, mapping))
    visits = {}
    read = written = macs = 0
    for i, (keys, moved, words, real, _) in enumerate(steps):
        key = keys["output"]
        read += words["input"] * datapath.dram_bits[0] if moved["input"] else 0
        read += words["weight"] * datapath.dram_bits[1] if moved["weight"] else 0
        if moved["output"]:
            read += words["output"] * datapath.accumulator_bits if key in visits else 0
            visits[key] = visits.get(key, 0) + 1
        macs += real
        ends = i + 1 == len(steps) or steps[i + 1][0]["output"] != key
        if ends:
            again = any(later[0]["output"] == key for later in steps[i + 1 :])
            written += words["output"] * (datapath.accumulator_bits if again else datapath.output_bits)
    return read, written, macs, len(steps)


@settings(max_examples=120, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 3), st.sampled_from(MACHINES))
def test_counters_equal_playing_the_loops(data, layer, batch, machine_name):
    machine = load_hardware(machine_name)
    accelerator = machine.accelerator
    pass_name = data.draw(st.sampled_from(layer.passes()))
    product = data.draw(st.sampled_from(lower(layer, pass_name, batch, data.draw(st.booleans()))))
    bits = [data.draw(st.sampled_from([1, 2, 3, 4, 6, 8, 12])) for _ in range(3)]
    datapath = accelerator.datapath(product, bits[0], bits[1], None if product.writes_filter else bits[2])
    orientation = data.draw(st.sampled_from(accelerator.orientations(product)))
    sizes = dimension_sizes(product)
    tile = tuple(data.draw(st.integers(1, sizes[d])) for d in DIMENSIONS)
    mapping = Mapping(orientation.name, tile, data.draw(st.sampled_from(ORDERS)))
    result = execute(product, accelerator, datapath, orientation, mapping, RATE)
    read, written, macs, tiles = count(product, datapath, mapping)
    got = result.counters
    assert (got["dram_read_bits"], got["dram_write_bits"], got["tiles"]) == (read, written, tiles)
    assert got["bit_products"] == macs * datapath.input_hw_bits * datapath.weight_hw_bits
    assert macs == product.real_macs
    # and the slow twin of the closed form that the search ranks by is the same traffic
    ranked = dram_bits(product, accelerator, datapath, np.array([tile]))
    assert ranked[0, ORDERS.index(mapping.order)] == read + written


@settings(max_examples=80, deadline=None)
@given(st.data(), conv_layers(), st.sampled_from(MACHINES))
def test_program_is_well_formed_and_classes_sum(data, layer, machine_name):
    machine = load_hardware(machine_name)
    accelerator = machine.accelerator
    product = lower(layer, data.draw(st.sampled_from(layer.passes())), 2)[0]
    datapath = accelerator.datapath(product, 4, 4, None if product.writes_filter else 4)
    orientation = accelerator.orientations(product)[0]
    every = tilings(product, accelerator.granules(product, datapath, orientation))
    number = data.draw(st.integers(0, every.shape[0] * every.shape[1] - 1))
    tile = tuple(every.chosen(np.array([number]))[0][0].tolist())
    mapping = Mapping(orientation.name, tile, data.draw(st.sampled_from(ORDERS)))
    result = execute(product, accelerator, datapath, orientation, mapping, RATE)
    flags = result.tiles[:, FLAGS]
    assert flags[0] & NEW_OUTPUT and flags[-1] & STORE
    assert (np.flatnonzero(flags & STORE)[:-1] + 1 == np.flatnonzero(flags & NEW_OUTPUT)[1:]).all()
    assert product.taps == 0 or not product.real_macs or flags[0] & LOAD_WEIGHT | flags[0] & LOAD_INPUT
    transfers = (INPUT_BEATS, WEIGHT_BEATS, PSUM_BEATS, STORE_BEATS)
    assert result.port_beats == sum(int(beat) for tile in result.tiles for beat in tile[list(transfers)])
    cycles = event_cycles(result.tiles, machine.port.array())
    assert cycles[0] == result.tiles[:, ISSUE].sum() == result.counters["issue_cycles"]
    assert cycles.sum() >= cycles[0]


@settings(max_examples=60, deadline=None)
@given(st.data(), conv_layers())
def test_issue_is_the_closed_form_where_tiles_are_full(data, layer):
    """ceil(outputs/M)·positions·steps·passes of one tile that holds everything (design point 17)."""
    accelerator = load_hardware("bitfusion_16x32_192b").accelerator
    (product,) = lower(layer, "forward", 2)
    a, w = data.draw(st.sampled_from([2, 4, 8, 16])), data.draw(st.sampled_from([2, 4, 8, 16]))
    datapath = accelerator.datapath(product, a, w, 8)
    orientation = accelerator.orientations(product)[0]
    whole = Mapping(orientation.name, tuple(dimension_sizes(product).values()), ORDERS[0])
    got = execute(product, accelerator, datapath, orientation, whole, RATE).counters["issue_cycles"]
    lanes = 16 * max(1, 8 // a) * max(1, 8 // w)
    steps = product.taps * -(-product.channels // lanes)
    passes = max(1, a // 8) * max(1, w // 8)
    assert got == product.groups * -(-product.outputs // 32) * product.positions * steps * passes


@settings(max_examples=40, deadline=None)
@given(conv_layers())
def test_capacity_edge_both_sides(layer):
    """A tile that exactly fits is kept; with one bit less of any buffer it is not."""
    (product,) = lower(layer, "forward", 1)
    tile = np.array([list(dimension_sizes(product).values())])
    machine = load_hardware("bitfusion_16x32_192b", {"input_buffer": "8 MiB", "weight_buffer": "8 MiB"}).accelerator
    datapath = machine.datapath(product, 8, 8, 8)
    orientation = machine.orientations(product)[0]
    from bitsim.mapping.candidates import occupied_bits, shapes

    footprint = machine.footprint_bits(product, datapath, orientation, shapes(product, tile))
    need = {k: int(v[0]) for k, v in occupied_bits(machine, orientation, footprint).items()}
    for short in (None, *need):
        sizes = {k: f"{max(v, 8) - (k == short)} bits" for k, v in need.items()}
        if any(int(s.split()[0]) < 8 for s in sizes.values()):
            continue
        tight = load_hardware("bitfusion_16x32_192b", sizes).accelerator
        assert fitting(product, tight, datapath, orientation, shapes(product, tile))[0] == (short is None)


@pytest.mark.parametrize(("bits", "per_tap", "flattened"), [(8, 9, 9), (4, 9, 3), (2, 9, 1)])
def test_lane_packing_of_16_channels(bits, per_tap, flattened):
    """A 16-channel 3x3 layer on 16 rows: 9/9/9 steps per tap at 8/4/2 bits, 9/3/1 flattened."""
    layer = Layer("layer", "conv", 1, 16, 32, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1)
    (product,) = lower(layer, "forward", 1)
    for packing, steps in (("per-tap", per_tap), ("flattened", flattened)):
        machine = load_hardware("bitfusion_16x32_192b", {"lane_packing": packing}).accelerator
        datapath = machine.datapath(product, bits, bits, bits)
        orientation = machine.orientations(product)[0]
        whole = Mapping(orientation.name, tuple(dimension_sizes(product).values()), ORDERS[0])
        counters = execute(product, machine, datapath, orientation, whole, RATE).counters
        assert counters["issue_cycles"] == 64 * steps
        copies = 64 * 9 * 16 if packing == "flattened" else 64 * 16
        assert counters["input_buffer_write_bits"] == copies * bits


@settings(max_examples=60, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 16), st.integers(1, 400), st.integers(1, 400))
def test_fewer_rows_and_less_bandwidth_never_help(data, layer, fewer, rate, more):
    """The same mapping: fewer rows never fewer issue cycles; a faster port never more cycles, nor other counters."""
    machines = [load_hardware("bitfusion_16x32_192b", {"array.rows": rows}) for rows in (16, fewer)]
    product = lower(layer, data.draw(st.sampled_from(layer.passes())), 2)[0]
    tile = tuple(data.draw(st.integers(1, size)) for size in dimension_sizes(product).values())
    order = data.draw(st.sampled_from(ORDERS))
    counters = []
    for machine in machines:
        accelerator = machine.accelerator
        datapath = accelerator.datapath(product, 4, 8, None if product.writes_filter else 4)
        orientation = accelerator.orientations(product)[0]
        mapping = Mapping(orientation.name, tile, order)
        slow, fast = (
            execute(product, accelerator, datapath, orientation, mapping, Fraction(r)) for r in (rate, rate + more)
        )
        port = machine.port.array()
        assert event_cycles(fast.tiles, port).sum() <= event_cycles(slow.tiles, port).sum()
        assert fast.counters == slow.counters
        counters.append(slow.counters)
    assert counters[1]["issue_cycles"] >= counters[0]["issue_cycles"]
    assert counters[1]["dram_read_bits"] == counters[0]["dram_read_bits"]


@settings(max_examples=60, deadline=None)
@given(st.data(), conv_layers(), st.integers(1, 12), st.integers(1, 12), st.integers(0, 6), st.integers(0, 6))
def test_more_bits_on_one_program(data, layer, a, w, more_a, more_w):
    """The same mapping: more bits never fewer issue cycles, bits moved or total cycles."""
    machine = load_hardware("bitfusion_16x32_192b")
    accelerator = machine.accelerator
    product = lower(layer, data.draw(st.sampled_from(layer.passes())), 2)[0]
    tile = tuple(data.draw(st.integers(1, size)) for size in dimension_sizes(product).values())
    orientation = accelerator.orientations(product)[0]
    mapping = Mapping(orientation.name, tile, data.draw(st.sampled_from(ORDERS)))
    few, more = (
        execute(
            product,
            accelerator,
            accelerator.datapath(product, x, y, None if product.writes_filter else x),
            orientation,
            mapping,
            RATE,
        )
        for x, y in ((a, w), (a + more_a, w + more_w))
    )
    for name in ("issue_cycles", "dram_read_bits", "dram_write_bits", "bit_products"):
        assert more.counters[name] >= few.counters[name], name
    port = machine.port.array()
    assert event_cycles(more.tiles, port).sum() >= event_cycles(few.tiles, port).sum()


@pytest.mark.parametrize("name", ["bitfusion_16x32_192b", "eyeriss_16x16_128k"])
def test_a_phase_without_taps_stores_zeros_without_the_buffers(name):
    """A 1x1 dgrad of stride 2: three of its four phases meet no tap; they are stored, and nothing else."""
    from bitsim.simulation.cost import CostModel
    from bitsim.workload import Widths

    machine = load_hardware(name)
    layer = Layer("layer", "conv", 1, 64, 512, 4, 4, stride_h=2, stride_w=2)
    cost = CostModel(machine).pass_cost(layer, "dgrad", 1, Widths(8, 8, 8, 8, 8))
    empty = cost.mappings[1:]
    words = 64 * 2 * 2
    for timed in empty:
        moved = {name: value for name, value in timed.execution.counters.items() if value and name.endswith("_bits")}
        assert moved == {"dram_write_bits": words * machine.accelerator.slices(8)[0]}
        assert timed.classes["issue"] == timed.execution.counters["issue_cycles"] == 0
        assert timed.mapping.tile[-1] == 1
    if name.startswith("bitfusion"):
        visits = cost.mappings[0].mapping.trips(lower(layer, "dgrad", 1)[0])["channels"]
        assert cost.values["output_buffer_write_bits"] == words * 32 * visits


def test_beats_are_exact_or_refused():
    """Where numpy would wrap, Python's integers count; what no int64 holds is refused."""
    fine = Fraction(2**40 + 1, 2**40)
    for bits in (1, 2**30, 2**59, 2**60 - 1):
        expected = -(-bits * fine.denominator // fine.numerator)
        assert beats(np.array([bits]), fine, 1).tolist() == [expected]
    assert beats(np.array([2**30]), fine, 2**20).tolist() == [2**30]
    assert beats(np.array([2**61]), Fraction(1), 1).tolist() == [2**61]
    for bits, rate, tiles in (
        (2**62, Fraction(1), 1),
        (2**61, Fraction(2**10 + 1, 2**10), 1),
        (2**60 + 2**20, fine, 1),  # 2**60 beats
        (2**40, Fraction(1), 2**25),
    ):
        with pytest.raises(InputError, match="cycles would pass int64"):
            beats(np.array([bits]), rate, tiles)


def test_sums_are_exact_where_int64_would_wrap():
    counts, each = np.array([2**40, 3, 1]), [2**30 + 1, 7, 2**61]
    assert exact_sum(np.array(each), counts) == sum(n * int(c) for n, c in zip(each, counts, strict=True))
    assert exact_sum(np.array([5, 7, 9]), counts) == 5 * 2**40 + 30
    assert exact_sum(2**30, counts) == 2**30 * (2**40 + 4)


def test_tiles_that_differ_too_much_are_refused(monkeypatch):
    (product,) = lower(Layer("layer", "conv", 1, 8, 8, 9, 9, 3, 3), "forward", 2)
    mapping = Mapping("normal", (1, 1, 2, 3, 2, 2), ORDERS[0])
    different = len(program.walk(product, mapping).counts)
    monkeypatch.setattr(program, "MOST_ROWS", different)
    assert len(program.walk(product, mapping).counts) == different
    monkeypatch.setattr(program, "MOST_ROWS", different - 1)
    with pytest.raises(MappingError, match=f"{different} different tiles"):
        program.walk(product, mapping)
