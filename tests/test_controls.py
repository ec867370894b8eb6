"""Controls: a machine that differs from its twin in one thing only differs in what follows from it."""

from fractions import Fraction

import numpy as np
import pytest

from bench import controls
from bitsim import data
from bitsim.accelerators.registry import load_hardware
from bitsim.kernels.engines import ENGINES
from bitsim.kernels.program import INPUT_BEATS, ISSUE, PSUM_BEATS, STORE_BEATS, WEIGHT_BEATS, PortTiming
from bitsim.mapping import Mapping, execute
from bitsim.mapping.record import ORDERS, dimension_sizes
from bitsim.workload import Layer, lower
from tests.strategies import random_layer

FLEXIBLE, INT8, ROWS = "bitfusion_16x32_192b", "int8_16x32_192b", "eyeriss_12x14_108k_500mhz"
GATED, SHARED, WIDE = (f"bitfusion_{kind}_192b" for kind in ("bricks_16x32", "shared_bricks_16x32", "2to16_8x16"))
WEIGHT_STATIONARY = "weight_stationary_int8_16x32_192b"
# (control, twin): the keys of the machine file in which they differ.
TWINS = {
    ("int8_raw_dram_16x32_192b", FLEXIBLE): {"precision.min_bits"},
    ("int8_raw_dram_16x32_192b", INT8): {"storage.dram"},
    ("eyeriss_raw_dram_12x14_108k_500mhz", ROWS): {"storage.dram"},
    (INT8, FLEXIBLE): {"precision.min_bits", "storage.dram"},
    ("int16_16x32_192b", INT8): {"precision.min_bits", "precision.max_bits"},
    ("eyeriss_int8_12x14_108k_500mhz", ROWS): {"precision.bits"},
    (WEIGHT_STATIONARY, INT8): {
        "accelerator",
        "precision.bits",
        "precision.min_bits",
        "precision.max_bits",
        "weight_planes",
    },
    (GATED, FLEXIBLE): {"precision.fusion"},
    (SHARED, GATED): {"precision.fusion"},
    (WIDE, FLEXIBLE): {"array.rows", "array.cols", "precision.max_bits"},
    ("stripes_like_16x16_192b", FLEXIBLE): {
        "accelerator",
        "array.cols",
        "lanes",
        "precision.serial",
        "precision.weight_bits",
        "precision.min_bits",
        "precision.max_bits",
    },
    ("loom_like_16x128_192b", FLEXIBLE): {
        "accelerator",
        "array.cols",
        "lanes",
        "precision.serial",
        "precision.min_bits",
        "precision.max_bits",
    },
}
RAW_DRAM = [pair for pair, keys in TWINS.items() if keys == {"storage.dram"}]
# Machines with an array of their own, and keys that make it small.
OWN_ARRAYS = [WEIGHT_STATIONARY, "stripes_like_16x16_192b", "loom_like_16x128_192b"]
BEATS = [INPUT_BEATS, WEIGHT_BEATS, PSUM_BEATS, STORE_BEATS]


def leaves(content, prefix=""):
    """{key path: value} of a machine file."""
    found = {}
    for key, value in content.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


@pytest.mark.parametrize(("name", "twin"), TWINS)
def test_a_control_differs_from_its_twin_in_the_keys_it_says(name, twin):
    one, other = (leaves(load_hardware(n).source.content) for n in (name, twin))
    assert {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)} == TWINS[name, twin]


def test_the_page_lists_these_controls():
    """docs/machines.md: its table names every pair, and every shipped machine that is not a main one."""
    assert controls.pairs() == list(TWINS)
    main = {FLEXIBLE, ROWS, "eyeriss_12x14_108k", "eyeriss_16x16_128k"}
    assert set(data.names("hw_configs", ".yaml")) - main == {name for name, _ in TWINS}


@pytest.mark.slow
def test_the_page_says_what_each_is_worth():
    """The first cells of every row that is not row stationary, anew."""
    rows = [line.split("|") for line in controls.PAGE.read_text().partition(controls.MARK)[2].splitlines()]
    found = {(row[1].strip(), row[2].strip()): row[3].strip() for row in rows if len(row) > 3}
    of = [pair for pair in TWINS if ROWS not in pair]
    assert found.keys() >= TWINS.keys()
    for line in [*controls.table(of, controls.TRACES[:1])][2:]:
        _, control, twin, cell, _ = (part.strip() for part in line.split("|"))
        assert found[control, twin] == cell


def random_choice(rng):
    """(product, three widths, tile, order), at random."""
    layer = random_layer(rng, 40, 8)
    products = lower(layer, str(rng.choice(layer.passes())), int(rng.integers(1, 4)))
    product = products[rng.integers(len(products))]
    tile = tuple(int(rng.integers(1, size + 1)) for size in dimension_sizes(product).values())
    return product, rng.integers(1, 17, 3).tolist(), tile, ORDERS[rng.integers(len(ORDERS))]


def executed(accelerator, product, bits, tile, order, orientation=0):
    """(datapath, execution) of a product under one mapping."""
    datapath = accelerator.datapath(product, *bits[:2], None if product.writes_filter else bits[2])
    holds = accelerator.orientations(product)[orientation]
    mapping = Mapping(holds.name, tile, order)
    return datapath, execute(product, accelerator, datapath, holds, mapping, Fraction(192))


def random_executions(names, rng):
    """[(datapath, execution)] of a random product under one random mapping, one a machine of `names`."""
    choice = random_choice(rng)
    return [executed(load_hardware(name).accelerator, *choice) for name in names]


@pytest.mark.parametrize(("name", "twin"), RAW_DRAM)
def test_raw_words_in_memory_change_traffic_and_nothing_else(name, twin):
    """The same mapping: every counter but DRAM bits, and every column of the tile program but beats, is the twin's."""
    rng, fewer = np.random.default_rng(20), 0
    for _ in range(60):
        (_, raw), (_, unit) = random_executions((name, twin), rng)
        moved = {"dram_read_bits", "dram_write_bits"}
        assert {k: v for k, v in raw.counters.items() if k not in moved} == {
            k: v for k, v in unit.counters.items() if k not in moved
        }
        assert all(raw.counters[k] <= unit.counters[k] for k in moved)
        assert np.array_equal(np.delete(raw.tiles, BEATS, 1), np.delete(unit.tiles, BEATS, 1))
        assert (raw.tiles[:, BEATS] <= unit.tiles[:, BEATS]).all()
        fewer += raw.counters["dram_read_bits"] < unit.counters["dram_read_bits"]
    assert fewer > 40


def test_wider_units_of_the_same_array_change_passes_and_widths():
    """The same mapping: 16-bit units take as many passes or fewer, move and multiply as many bits or more."""
    rng, fewer = np.random.default_rng(21), 0
    for _ in range(60):
        (wide_path, wide), (path, narrow) = random_executions(("int16_16x32_192b", INT8), rng)
        issue = wide.counters["issue_cycles"], narrow.counters["issue_cycles"]
        assert issue[0] * path.passes == issue[1] * wide_path.passes
        products = wide.counters["bit_products"], narrow.counters["bit_products"]
        hw_products = [p.input_hw_bits * p.weight_hw_bits for p in (wide_path, path)]
        assert products[0] * hw_products[1] == products[1] * hw_products[0]
        for counter in ("dram_read_bits", "dram_write_bits", "bit_products"):
            assert wide.counters[counter] >= narrow.counters[counter]
        fewer += issue[0] < issue[1]
    assert fewer > 10


@pytest.mark.parametrize(
    ("bits", "widths", "lanes", "shared_lanes"),
    # 16 rows of 4 x 4 bricks: 256 bricks a column.  6 x 6 bits: 9 bricks a product, and 16 fused to powers of two.
    [
        ((6, 6), (6, 6), 16, 28),
        ((6, 3), (6, 4), 32, 42),
        ((8, 6), (8, 6), 16, 21),
        ((5, 2), (6, 2), 64, 85),
        ((1, 8), (2, 8), 64, 64),
        ((4, 4), (4, 4), 64, 64),
        ((12, 6), (16, 6), 16, 21),
    ],
)
def test_bricks_by_hand(bits, widths, lanes, shared_lanes):
    """Operands at whole bricks; lanes of a column as fused to powers of two, or as many as all its bricks make."""
    (product,) = lower(Layer("layer", "linear", 1, 1, 1), "forward", 1)
    for name, expected in ((FLEXIBLE, lanes), (GATED, lanes), (SHARED, shared_lanes)):
        accelerator = load_hardware(name).accelerator
        datapath = accelerator.datapath(product, *bits, 8)
        assert accelerator.lanes(datapath) == expected
        if name != FLEXIBLE:
            assert (datapath.input_hw_bits, datapath.weight_hw_bits) == widths


def test_gated_bricks_change_energy_and_shared_ones_cycles():
    """The same mapping: gated bricks multiply and store fewer bits in the same cycles, shared ones take fewer too."""
    rng, fewer_bits, fewer_cycles = np.random.default_rng(25), 0, 0
    machines = [load_hardware(name, {"array.rows": 2}).accelerator for name in (FLEXIBLE, GATED, SHARED)]
    for _ in range(60):
        product, _, *mapping = random_choice(rng)
        bits = rng.choice([3, 5, 6, 8, 12], 3).tolist()
        (path, twin), (gated_path, gated), (_, shared) = (executed(a, product, bits, *mapping) for a in machines)
        assert np.array_equal(gated.tiles, twin.tiles)
        assert gated.counters["bit_products"] * path.input_hw_bits * path.weight_hw_bits == (
            twin.counters["bit_products"] * gated_path.input_hw_bits * gated_path.weight_hw_bits
        )
        assert all(gated.counters[counter] <= value for counter, value in twin.counters.items())
        # Cycles, and what follows from cycles, are what sharing adds to gating: not one more.
        assert all(shared.counters[counter] <= value for counter, value in gated.counters.items())
        assert shared.counters["bit_products"] == gated.counters["bit_products"]
        fewer_bits += gated.counters["bit_products"] < twin.counters["bit_products"]
        fewer_cycles += shared.counters["issue_cycles"] < gated.counters["issue_cycles"]
    assert fewer_bits > 30 and fewer_cycles > 4


def test_units_of_sixteen_bits_have_the_same_peak_and_fewer_passes():
    wide, twin = (load_hardware(name).accelerator for name in (WIDE, FLEXIBLE))
    assert wide.peak_bit_products_per_cycle == twin.peak_bit_products_per_cycle
    (product,) = lower(Layer("layer", "linear", 1, 1, 1), "forward", 1)
    for input_bits, weight_bits, passes, twins in ((8, 8, 1, 1), (12, 8, 1, 2), (16, 16, 1, 4), (17, 16, 2, 6)):
        found = [a.datapath(product, input_bits, weight_bits, 8) for a in (wide, twin)]
        assert [path.passes for path in found] == [passes, twins]
        # bit products a column takes in a cycle; the twin has twice the columns
        if max(input_bits, weight_bits) <= 8:
            assert wide.lanes(found[0]) == 2 * twin.lanes(found[1])


@pytest.mark.parametrize("name", OWN_ARRAYS)
def test_all_engines_agree(name):
    """collapsed == event == the per-cycle model on random layers under random mappings, arrays and ports."""
    rng, done = np.random.default_rng(22), 0
    while done < 150:
        shape = {"array.rows": int(rng.integers(1, 9)), "array.cols": int(rng.integers(1, 9))}
        accelerator = load_hardware(name, shape).accelerator
        product, bits, tile, order = random_choice(rng)
        orientation = int(rng.integers(len(accelerator.orientations(product))))
        nest = executed(accelerator, product, bits, tile, order, orientation)[1].nest
        if nest.counts.sum() > 1000 or (nest.rows[:, ISSUE] * nest.counts).sum() > 200_000:
            continue
        port = PortTiming(*rng.integers(0, [100, 4, 4, 9]).tolist()).array()
        collapsed, event, stepped = (ENGINES[engine]([nest], port) for engine in ("collapsed", "event", "stepped"))
        assert np.array_equal(collapsed, event) and np.array_equal(event, stepped)
        done += 1


@pytest.mark.parametrize("name", OWN_ARRAYS)
def test_more_bits_never_take_or_move_less(name):
    rng, accelerator = np.random.default_rng(23), load_hardware(name).accelerator
    for _ in range(80):
        product, bits, *mapping = random_choice(rng)
        more = [width + int(rng.integers(0, 7)) for width in bits]
        (_, few), (_, many) = (executed(accelerator, product, widths, *mapping) for widths in (bits, more))
        for counter in ("issue_cycles", "dram_read_bits", "dram_write_bits", "bit_products"):
            assert many.counters[counter] >= few.counters[counter]


@pytest.mark.parametrize("name", OWN_ARRAYS)
@pytest.mark.parametrize("key", ["array.rows", "array.cols"])
def test_a_smaller_array_never_takes_fewer_cycles(name, key):
    """Weight-stationary rows: where inputs stream for longer than a fill, a cycle a row, and but for the first."""
    rng, tried = np.random.default_rng(24), 0
    shipped = load_hardware(name).accelerator
    for _ in range(80):
        product, bits, tile, order = random_choice(rng)
        smaller = load_hardware(name, {key: int(rng.integers(1, 16))}).accelerator
        first_fill = 0
        if (name, key) == (WEIGHT_STATIONARY, "array.rows"):
            tile, first_fill = tuple(dimension_sizes(product).values()), shipped.rows - smaller.rows
            if (product.channels * product.taps if product.writes_filter else product.positions) < 15 + 16:
                continue
        slow, fast = (executed(accelerator, product, bits, tile, order)[1] for accelerator in (smaller, shipped))
        assert slow.counters["issue_cycles"] + first_fill >= fast.counters["issue_cycles"]
        tried += 1
    assert tried > 20
