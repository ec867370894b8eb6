"""RTL of the bit-flexible array == per-cycle model, every cycle, on programs without and with data."""

import itertools

import numpy as np
import pytest

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.seam import DIMENSIONS
from bitsim.kernels.program import CLASSES, PortTiming
from bitsim.mapping.record import ORDERS, Mapping, dimension_sizes
from bitsim.simulation.cost import CostModel
from bitsim.workload import Layer, Widths, lower
from tests.rtl_chain import (
    DEPTH,
    MEMORY,
    UNITS,
    VERILATOR_ARRAY,
    Program,
    build,
    check_states,
    halves,
    random_control,
    simulate,
)
from tests.rtl_layers import (
    fits,
    memory_of,
    operand_places,
    phases,
    product_tiles,
    random_case,
    random_widths,
    wrap,
)
from tests.rtl_tools import RTL, needs, run
from tests.strategies import random_layer
from tests.test_published_timing import AUTHORS_RTL

CONTROL_PARTS = 10
CONTROL_PROGRAMS = 1000


@pytest.mark.slow
@needs("iverilog")
def test_fusion_unit_exhaustively(tmp_path):
    """Every pair of operand values of every width pair and sign, in every lane."""
    sources = [RTL / f"{name}.sv" for name in ("bitbrick", "fusion_unit", "tb_fusion_unit")]
    run(["iverilog", "-g2012", "-s", "tb_fusion_unit", "-o", tmp_path / "unit.vvp", *sources])
    pairs = itertools.product((2, 4, 8), repeat=2)
    vectors = sum(4 * (8 // a) * (8 // w) * 2 ** (a + w) for a, w in pairs)
    assert run(["vvp", "-n", tmp_path / "unit.vvp"]).split() == ["vectors", str(vectors), "mismatches", "0"]


@needs("iverilog")
@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, CONTROL_PARTS))])
def test_random_control_programs(tmp_path, part):
    rng = np.random.default_rng([4, part])
    programs = [random_control(rng, 2, 2) for _ in range(CONTROL_PROGRAMS // CONTROL_PARTS)]
    outcomes = simulate(build("iverilog", 2, 2, tmp_path, most_tiles=16, slots=4), programs, tmp_path)
    check_states(programs, outcomes, 2, 2)


@needs("iverilog")
@pytest.mark.parametrize(("rows", "cols", "first_visible"), AUTHORS_RTL)
def test_first_outputs_are_where_the_authors_rtl_has_them(tmp_path, rows, cols, first_visible):
    """One issue cycle: column c is visible N + 1 + c cycles later, and one more for the SRAM read in front."""
    machine = load_hardware("bitfusion_16x32_192b", {"array.rows": rows, "array.cols": cols})
    layer = Layer("layer", "linear", 1, rows, cols)
    cost = CostModel(machine).pass_cost(layer, "forward", 1, Widths(8, 8, 8, 8, 8))
    case = random_case(np.random.default_rng(0), layer, "forward", 1, 8, 8)
    (product,) = lower(layer, "forward", 1)
    datapath = machine.accelerator.datapath(product, 8, 8, 8)
    (timed,) = cost.mappings
    memory, firsts = memory_of(case)
    at = {o: (firsts[o] + base, steps) for o, (base, steps) in operand_places(case, product, (0, 0)).items()}
    tiles = product_tiles(product, datapath, machine.accelerator.orientations(product)[0], timed.mapping, at)
    program = Program(halves(tiles), PortTiming(0, 0, 1, 0), 8, memory)
    (outcome,) = simulate(build("iverilog", rows, cols, tmp_path), [program], tmp_path)
    (issue,) = np.flatnonzero(outcome.log[:, 0] == CLASSES.index("issue"))
    assert (np.flatnonzero(outcome.visible) - issue - 1).tolist() == first_visible
    assert outcome.visible.max() == 1


def random_stalls(rng):
    """A pattern of refused beats, never all of them; empty half of the time."""
    return () if rng.random() < 0.5 else (0, *(int(s) for s in rng.random(int(rng.integers(1, 9))) < 0.4))


def random_datapath_program(rng, rows, cols, most_tiles):
    """A program of up to three products of other widths, any tile sizes and loop order; (program, answers)."""
    accelerator = load_hardware("bitfusion_16x32_192b", {"array.rows": rows, "array.cols": cols}).accelerator
    tiles, memory, answers = [], np.zeros(0, np.int64), []
    for _ in range(int(rng.integers(1, 4))):
        layer = random_layer(rng)
        pass_name = str(rng.choice(layer.passes()))
        bits = random_widths(rng)
        samples = int(rng.integers(1, 3))
        case = random_case(rng, layer, pass_name, samples, *bits)
        words, firsts = memory_of(case)
        added = []
        out_bits = int(rng.choice([4, 8, 16]))
        for product, phase in zip(lower(layer, pass_name, samples), phases(layer, pass_name), strict=True):
            datapath = accelerator.datapath(product, *bits, None if product.writes_filter else out_bits)
            orientation = rng.choice(np.array(accelerator.orientations(product)))
            sizes = dimension_sizes(product)
            tile = tuple(int(rng.integers(-(-sizes[d] // 2), sizes[d] + 1)) for d in DIMENSIONS)
            mapping = Mapping(orientation.name, tile, ORDERS[rng.integers(len(ORDERS))])
            place = operand_places(case, product, phase)
            at = {o: (len(memory) + firsts[o] + base, steps) for o, (base, steps) in place.items()}
            added += product_tiles(product, datapath, orientation, mapping, at)
            if rng.random() < 0.3:
                added[-mapping.tiles(product)]["F_FENCE"] = 1
        if len(tiles) + len(added) > most_tiles or not fits(added, DEPTH):
            continue
        answers.append((len(memory) + firsts["Z"], wrap(case.z, datapath.output_bits).ravel()))
        tiles += added
        memory = np.concatenate([memory, words])
    if not tiles or len(memory) > MEMORY:
        return random_datapath_program(rng, rows, cols, most_tiles)
    timing = PortTiming(*(int(rng.integers(low, high)) for low, high in ((0, 20), (0, 4), (1, 4), (0, 9))))
    rate = int(rng.integers(1, 17))
    return Program(halves(tiles), timing, rate, memory, (0, len(memory)), random_stalls(rng)), answers


def check_datapath(rng, count, rows, cols, simulator, folder, most_tiles=64):
    """`count` programs with data: state of every cycle, and every output word."""
    programs, answers = zip(*(random_datapath_program(rng, rows, cols, most_tiles) for _ in range(count)), strict=True)
    outcomes = simulate(simulator, programs, folder)
    for program, outcome, expected in zip(programs, outcomes, answers, strict=True):
        memory = program.memory.copy()
        for first, values in expected:
            memory[first : first + values.size] = values
        np.testing.assert_array_equal(outcome.memory, memory)
    check_states(programs, outcomes, rows, cols)


@pytest.mark.slow
@needs("iverilog")
def test_datapath_programs_on_two_by_two(tmp_path):
    simulator = build("iverilog", 2, 2, tmp_path)
    check_datapath(np.random.default_rng(20), 20, 2, 2, simulator, tmp_path)


@pytest.mark.slow
@needs("verilator")
def test_datapath_programs_on_four_by_four(tmp_path, four_by_four):
    check_datapath(np.random.default_rng(300), 300, *VERILATOR_ARRAY, four_by_four, tmp_path)


@pytest.mark.slow
@needs("yosys")
def test_synthesises_without_latches(tmp_path):
    """Coarse synthesis of the whole machine, and gates of the fusion unit: no latch, nothing undriven, no loop."""
    sizes = {"N": 1, "M": 1, "MAX_TILES": 2, "SLOTS": 1, "DEPTH_X": 4, "DEPTH_Y": 4, "DEPTH_Z": 4}
    parameters = " ".join(f"-set {name} {size}" for name, size in sizes.items())
    sources = " ".join(str(RTL / f"{name}.sv") for name in UNITS)
    no_latch = "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr t:$_DLATCH_*"
    for commands in (
        f"chparam {parameters} accelerator; synth -top accelerator -noshare -run begin:fine",
        "synth -top fusion_unit",
    ):
        script = f"read_verilog -sv -I{RTL} {sources}; {commands}; check -assert; {no_latch}"
        run(["yosys", "-q", "-p", script])
