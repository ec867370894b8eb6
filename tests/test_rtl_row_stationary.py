"""RTL of the row-stationary array == closed forms of a tile, cycles and every counter; its psums == numpy's."""

import math

import numpy as np
import pytest

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.row_stationary import fold_and_replicate, shape_of
from bitsim.workload import Layer, lower
from tests.row_stationary_chain import (
    BITS,
    FOLDER,
    LANES,
    UNITS,
    Run,
    as_convolution,
    build,
    fields,
    operands,
    simulate,
    sliced,
)
from tests.row_stationary_nest import integers
from tests.rtl_tools import needs, run
from tests.test_row_stationary_nest import in_one_part, whole_tile


def random_case(rng, rows, cols, most_cycles):
    """(machine, product, datapath, Blocking, Run, expected psums): one product as one tile, at any legal blocking."""
    words = {"input_spad": rng.integers(2, 9), "weight_spad": rng.integers(4, 41), "psum_spad": rng.integers(1, 6)}
    keys = {"array.rows": rows, "array.cols": cols, "precision.bits": BITS}
    keys |= {name: f"{count} words" for name, count in words.items()}
    keys |= {f"networks.{n}_words_per_cycle": int(rng.integers(1, LANES + 1)) for n in ("input", "weight", "psum")}
    accelerator = load_hardware("eyeriss_12x14_108k", keys).accelerator
    kernel, dilation = rng.integers(1, 6, 2).tolist(), rng.choice([1, 1, 2], 2).tolist()
    pads = rng.integers(0, 3, 4).tolist()
    least = [max(1, dilation[i] * (kernel[i] - 1) + 1 - pads[i] - pads[i + 2]) for i in (0, 1)]
    groups = int(rng.choice([1, 1, 2, 3]))
    channels = (groups * rng.integers(1, 6, 2)).tolist()
    side = [int(size + rng.integers(0, 5)) for size in least]
    layer = Layer("layer", "conv", groups, *channels, *side, *kernel, *rng.integers(1, 4, 2).tolist(), *pads, *dilation)
    found = lower(layer, str(rng.choice(layer.passes())), int(rng.integers(1, 4)), bool(rng.random() < 0.3))
    products = [p for p in found if p.taps]
    if not products:
        return random_case(rng, rows, cols, most_cycles)
    product = products[int(rng.integers(len(products)))]
    bits = [(8, 8), (8, 8), (16, 8), (8, 16), (12, 12)][int(rng.integers(5))]
    datapath = accelerator.datapath(product, *bits, None)
    tile = whole_tile(product)
    choices = accelerator.blockings(datapath, tile)
    block = choices[int(rng.integers(len(choices)))]
    if accelerator.cost_of(datapath, tile, block).issue_cycles > most_cycles:
        return random_case(rng, rows, cols, most_cycles)
    shape, slices = shape_of(tile), (datapath.input_slices, datapath.weight_slices)
    fold = integers(fold_and_replicate(shape.filter_rows, shape.output_rows, rows, cols))
    described = fields(product, integers(shape), fold, integers(block), accelerator.rates(datapath), slices, cols)
    inputs, weights, result = as_convolution(product, *operands(rng, product, bits))
    described["accumulates"] = int(rng.random() < 0.3)
    # What lies in the buffer must not be seen by a tile that does not accumulate.
    before = rng.integers(-1000, 1000, result.shape)
    one = Run(
        described,
        *(sliced(array, n) for array, n in ((inputs, slices[0]), (weights, slices[1]))),
        sliced(before, described["psum_words"]),
    )
    return accelerator, product, datapath, block, one, (result + described["accumulates"] * before).ravel()


def check(case, outcome):
    """Cycles, drain, psums and counters of one tile."""
    accelerator, product, datapath, block, one, expected = case
    accumulates = one.fields["accumulates"]
    np.testing.assert_array_equal(outcome.psums, expected)
    tile = whole_tile(product)
    cost = accelerator.cost_of(datapath, tile, block)
    assert outcome.issue_cycles == int((cost.accumulating_issue_cycles if accumulates else cost.issue_cycles).item())
    assert outcome.drain_cycles == cost.drain_cycles
    count, psum_bits = outcome.counts, datapath.accumulator_bits
    got = {
        "global_buffer_write_bits": count["psum_words_written"] * BITS,
        "global_buffer_read_bits": (count["psum_words_read"] + count["inputs_read"]) * BITS,
        "filter_buffer_read_bits": count["weights_read"] * BITS,
        "input_spad_write_bits": count["input_copies"] * BITS,
        "weight_spad_write_bits": count["weight_copies"] * BITS,
        "network_words": count["input_copies"] + count["weight_copies"] + count["psum_hops"],
    }
    want = {name: int(np.asarray(value).item()) for name, value in cost.per_tile.items()}
    # The tile level counts the read of what is accumulated onto.
    want["global_buffer_read_bits"] += accumulates * product.output_words * psum_bits
    cuts = integers(block).cuts
    taps, positions = (cuts.filter_rows.size, cuts.pieces.size), (cuts.rows.size, product.cols.positions)
    if product.writes_filter:
        taps, positions = (cuts.rows.size, len(product.cols.taps)), taps
    exact = in_one_part(product.rows, positions[0], taps[0]) and in_one_part(product.cols, positions[1], taps[1])
    if not exact:
        assert got.pop("global_buffer_read_bits") <= want.pop("global_buffer_read_bits")
    assert got == want
    got = {
        "macs": count["macs"],
        "input_spad_read_bits": count["input_reads"] * BITS,
        "weight_spad_read_bits": count["weight_spad_reads"] * BITS,
        "psum_spad_read_bits": count["psum_accesses"] * psum_bits,
        "psum_spad_write_bits": count["psum_accesses"] * psum_bits,
    }
    axes = (product.rows, product.cols)
    real = product.batch * math.prod(int(axis.real_taps(axis.positions)[0]) for axis in axes)
    assert got == {name: int(np.asarray(value).item()) * real for name, value in cost.per_tap.items()}
    return exact


def traits(case):
    """What is special about a tile."""
    _, product, datapath, block, one, _ = case
    cuts, tile = integers(block).cuts, one.fields
    return {
        "fold": cuts.filter_rows.blocks > 1,
        "segments one after the other": cuts.rows.blocks > 1,
        "segments held": tile["segments_held"] > 1,
        "pieces": cuts.pieces.blocks > 1,
        "channel sets stacked": tile["channel_sets"] > 1,
        "stacks above": tile["stacks_up"] > 1,
        "stacks beside": tile["stacks_across"] > 1,
        "groups beside": tile["groups_beside"] > 1,
        "channels interleaved": tile["channels_in_pe"] > 1,
        "outputs interleaved": tile["outputs_in_pe"] > 1,
        "psum rounds": integers(block).psum_rounds > 1,
        "several blocks of outputs": integers(block).outputs.blocks > 1,
        "last block of outputs smaller": integers(block).outputs.last < tile["outputs_in_pe"],
        "slices": datapath.passes > 1,
        "accumulates": tile["accumulates"] > 0,
        "weight gradient": product.writes_filter,
        "inserted zeros": tile["row_hole"] > 1,
        "columns out of order": tile["col_apart"] > 1,
        "windows jump": tile["col_shift"] > 1,
    }


def run_cases(tool, rows, cols, seed, number, most_cycles, folder):
    """Random tiles through one build; every one checked. Returns (traits of each, whether its reads were exact)."""
    rng = np.random.default_rng(seed)
    cases = [random_case(rng, rows, cols, most_cycles) for _ in range(number)]
    outcomes = simulate(build(tool, rows, cols, folder), [case[4] for case in cases], folder)
    exact = [check(case, outcome) for case, outcome in zip(cases, outcomes, strict=True)]
    return [traits(case) for case in cases], exact


@needs("iverilog")
@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (3, 2)])
def test_tiles_on_icarus(tmp_path, rows, cols):
    run_cases("iverilog", rows, cols, rows * 10 + cols, 10, 800, tmp_path)


@needs("verilator")
def test_tiles_on_verilator(tmp_path):
    """Every trait in at least five tiles, and input reads exact in most."""
    found, exact = run_cases("verilator", 4, 3, 7, 150, 4000, tmp_path)
    counts = {name: sum(one[name] for one in found) for name in found[0]}
    assert min(counts.values()) >= 5, counts
    assert sum(exact) > 0.8 * len(exact)


@needs("yosys")
def test_synthesises_without_latches():
    """Coarse synthesis of the whole machine: no latch, nothing undriven, no loop."""
    sizes = {"ROWS": 2, "COLS": 1, "LANES": 1, "DEPTH": 4, "SPAD": 4, "WEIGHTS": 4, "PSUMS": 2}
    parameters = " ".join(f"-chparam {name} {size}" for name, size in sizes.items())
    sources = " ".join(str(FOLDER / f"{name}.sv") for name in UNITS)
    steps = (
        f"read_verilog -defer -sv -I{FOLDER} {sources}",
        f"hierarchy -top machine {parameters}",
        "synth -top machine -noshare -run begin:fine",
        "check -assert",
        "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr",
    )
    run(["yosys", "-q", "-p", "; ".join(steps)])
