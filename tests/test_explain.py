"""bitsim explain: its numbers are the row's, its sums add up, its rival lost, on every machine through the seam."""

import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import bitsim
from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.seam import DIMENSIONS, Tile
from bitsim.explain.choice import at_widths, in_iteration
from bitsim.explain.explanation import explain
from bitsim.explain.rival import distinct, runner_up
from bitsim.kernels.program import CLASSES
from bitsim.mapping.record import dimension_sizes
from bitsim.mapping.search import NEAR
from bitsim.report.explain_text import explain_document, explain_text
from bitsim.simulation.cost import CostModel
from bitsim.trace import open_trace
from bitsim.workload import lower
from tests.conftest import LAYERS
from tests.page_examples import EXAMPLE, printed
from tests.strategies import random_layer

PAGE = Path(__file__).parents[1] / "docs" / "explain.md"
TRACE = "resnet20_digits_pfq"
# A strided dgrad in phases, partial sums spilled, float, a plain forward product.
CASES = [("layer2.0.conv1", "dgrad"), ("layer2.0.conv1", "wgrad"), ("fc", "wgrad"), ("layer1.0.conv1", "forward")]


@cache
def trace():
    return open_trace(TRACE)


@cache
def explained(machine, layer, pass_name, iteration=0):
    return explain(CostModel(load_hardware(machine)), in_iteration(trace(), layer, pass_name, iteration))


@cache
def run_rows(machine, iteration):
    result = bitsim.simulate(trace(), load_hardware(machine), iterations=(iteration, iteration + 1))
    return {(row["layer"], row["pass"]): row for row in result.distinct()}


@pytest.mark.parametrize(("layer", "pass_name"), CASES)
@pytest.mark.parametrize("machine", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_numbers_are_those_of_the_row_of_run(machine, layer, pass_name):
    last = trace().run.iterations - 1
    found = explained(machine, layer, pass_name, last)
    row = run_rows(machine, last)[layer, pass_name]
    assert found.row == {name: row[name] for name in found.row}
    parts = [part for part in found.parts for _ in range(part.count)]
    for name in CLASSES:
        summed = sum(part.tail[name] + sum(kind.classes[name] for kind in part.kinds) for part in parts)
        assert summed == row[f"{name}_cycles"], name
    assert sum(kind.tiles for part in parts for kind in part.kinds) == row["tiles"]
    assert sum(part.cycles for part in parts) == row["cycles"] == found.bound.cycles
    assert found.bound.name == row["bound"]
    sums = [one for part in parts for one in part.sums]
    assert sum(one.total for one in sums if one.name == "issue_cycles") == row["issue_cycles"]
    beats = sum(one.total for one in sums if one.name.endswith("_beats"))
    assert beats == found.bound.port_beats
    # What either needs alone is a floor: issue and set-up of the array, beats and grants of the port.
    assert row["cycles"] >= row["issue_cycles"] + row["setup_cycles"]
    assert row["cycles"] >= beats + sum(part.transfers for part in parts) > beats


@pytest.mark.parametrize(("layer", "pass_name"), CASES)
@pytest.mark.parametrize("machine", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_sums_can_be_worked_out_by_hand(machine, layer, pass_name):
    for part in explained(machine, layer, pass_name).parts:
        for one in part.sums:
            assert one.terms or not one.total
            worked = [
                int(count.replace(",", ""))
                * (math.ceil(int(bits.replace(",", "")) / float(rate)) if bits else int(plain))
                for count, bits, rate, plain in re.findall(
                    r"([\d,]+) x (?:ceil\(([\d,]+) / ([\d.]+)\)|([\d,]+))", one.expression().replace(",", "")
                )
            ]
            assert len(worked) == len(one.terms)
            assert sum(worked) == one.total, one.expression()
        # Kinds of tiles: full and edges are all the tiles there are, and cover the whole of each dimension.
        trips = math.prod(loop.trips for loop in part.loops)
        assert sum(kind.tiles for kind in part.kinds) == trips
        for loop in part.loops:
            covered = sum(kind.tiles * kind.sizes[loop.dimension] for kind in part.kinds)
            assert covered * loop.trips == trips * loop.whole
        for kind in part.kinds:
            least, most = kind.issue_cycles
            assert kind.tiles * least <= kind.classes["issue"] <= kind.tiles * most


@pytest.mark.parametrize("machine", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_occupation_is_the_capacity_rule_and_its_edge(machine):
    """A half as large as what a full tile occupies still takes that tile; one bit less takes it no more."""
    found = explained(machine, "layer2.0.conv1", "forward")
    (part,) = found.parts
    for name in {one.buffer for one in part.occupation}:
        used = sum(one.used_bits for one in part.occupation if one.buffer == name)
        assert 0 < used <= next(one.half_bits for one in part.occupation if one.buffer == name)
        for less, same in ((0, True), (8, False)):
            smaller = load_hardware(machine, {name: f"{(2 * used - less) // 8} B"})
            again = explain(CostModel(smaller), found.choice).parts[0]
            fits = (again.orientation, again.tile) == (part.orientation, part.tile)
            assert fits or same is False, (name, less)
            if not same:
                assert not fits


@pytest.mark.parametrize(("layer", "pass_name"), CASES)
@pytest.mark.parametrize("objective", ["cycles", "energy", "edp"])
def test_the_next_best_lost(layer, pass_name, objective):
    model = CostModel(load_hardware("bitfusion_16x32_192b"), objective)
    choice = in_iteration(trace(), layer, pass_name, 0)
    found, parts = explain(model, choice), model.contenders(choice.layer, pass_name, choice.samples, choice.widths)
    taken = model.pass_cost(choice.layer, pass_name, choice.samples, choice.widths).mappings
    rivals = [one.next_best for one in found.parts]
    for part, timed in zip(parts, taken, strict=True):
        first = part.contenders[0]
        assert first.timed.mapping == timed.mapping
        near = min(c.value for c in part.contenders) * (1 + NEAR)
        for other in part.contenders[1:]:
            assert other.value > near or other.energy_pj >= first.energy_pj
        listed = distinct(part.product, part.contenders)
        rival = runner_up(listed, objective)
        assert rival in rivals
        assert rival.cycles - timed.cycles == sum(rival.more_cycles.values())
        assert (f"more {objective}" in rival.why) == (listed[1].value > near)


@pytest.mark.parametrize(("layer", "pass_name"), [*CASES, ("layer2.0.downsample", "dgrad")])
@pytest.mark.parametrize("machine", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_no_mapping_is_its_own_rival(machine, layer, pass_name):
    """A loop of one trip runs nothing: without it, neither orientation, tile nor order of loops may be the same."""
    model, choice = CostModel(load_hardware(machine)), in_iteration(trace(), layer, pass_name, 0)
    shown = [(part.rivals, part.next_best) for part in explained(machine, layer, pass_name).parts]
    for part in model.contenders(choice.layer, pass_name, choice.samples, choice.widths):
        sizes, runs = dimension_sizes(part.product), []
        for timed in (one.timed for one in part.contenders):
            tile = dict(zip(DIMENSIONS, timed.mapping.tile, strict=True))
            loops = tuple(d for d in timed.mapping.order if tile[d] < sizes[d])
            runs.append((timed.orientation.name, timed.mapping.tile, loops))
        rival = runner_up(distinct(part.product, part.contenders), "cycles")
        assert (len(set(runs)) - 1, rival) in shown
        order = tuple(d for d in rival.order if rival.tile[d] < sizes[d])
        assert (rival.orientation, tuple(rival.tile.values()), order) != runs[0]


@pytest.mark.parametrize("machine", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_a_phase_without_taps_loads_nothing(machine):
    """1 x 1 at stride 2: three of four phases of the dgrad only store zeros."""
    found = explained(machine, "layer2.0.downsample", "dgrad")
    product, zeros = found.parts
    assert (product.count, product.taps, zeros.count, zeros.taps) == (1, 1, 3, 0)
    assert [one.role for one in product.occupation] == ["input", "weight", "output"]
    assert [one.role for one in zeros.occupation] == ["output"] and set(zeros.moves_with) == {"output"}
    _, _, text = explain_text(found).partition("3 products alike")
    text = text.partition("reuse:")[0]
    assert "no tap meets this phase: zeros are stored" in text and "store output" in text
    assert not any(line.strip().startswith(("load", "input", "weight")) for line in text.splitlines())
    assert not any(line.strip().endswith(": 0") for line in text.splitlines())


def test_array_loops_of_the_flexible_array_multiply_to_issue_cycles():
    """On random tiles of random layers, both lane packings, all orientations."""
    rng = np.random.default_rng(3)
    machines = [
        load_hardware("bitfusion_16x32_192b", {"array.rows": 4, "array.cols": 8, "lane_packing": packing})
        for packing in ("per-tap", "flattened")
    ]
    for _ in range(300):
        layer, accelerator = random_layer(rng), machines[rng.integers(2)].accelerator
        product = lower(layer, str(rng.choice(layer.passes())), 2)[0]
        datapath = accelerator.datapath(product, *rng.choice([2, 4, 8, 12], 2).tolist(), None)
        for orientation in accelerator.orientations(product):
            sizes = [int(n) for n in rng.integers(1, 40, 6)]
            taps = len(product.rows.taps), len(product.cols.taps)
            tile = Tile(*sizes, 3, 3, *taps, 1, 1, 1, 1, product.writes_filter)
            loops = accelerator.array_loops(product, datapath, orientation, tile)
            cost = accelerator.tile_cost(product, datapath, orientation, tile)
            assert math.prod(trips for _, trips in loops) == cost.issue_cycles or not product.taps


def test_array_loops_of_the_row_stationary_machine_are_the_cycles_of_its_pes():
    """With networks that take one slot for anything, a tile of even blocks issues those cycles and a few slots."""
    words = {f"networks.{name}_words_per_cycle": 1024 for name in ("input", "weight", "psum")}
    accelerator = load_hardware("eyeriss_12x14_108k", words).accelerator
    rng, even = np.random.default_rng(4), 0
    while even < 40:
        layer = random_layer(rng)
        product = lower(layer, str(rng.choice(layer.passes())), 2)[0]
        datapath = accelerator.datapath(product, *rng.choice([8, 24], 2).tolist(), None)
        (orientation,) = accelerator.orientations(product)
        sizes = [int(n) for n in rng.integers(1, 9, 6)]
        taps = len(product.rows.taps), len(product.cols.taps)
        tile = Tile(*sizes, 3, 3, *taps, 1, 1, 1, 1, product.writes_filter)
        block = accelerator.chosen(datapath, tile, accelerator.blockings(datapath, tile))
        if not product.taps or any(
            part.last != part.size for part in (block.channels, block.outputs, block.cuts.pieces)
        ):
            continue
        cycles = math.prod(trips for _, trips in accelerator.array_loops(product, datapath, orientation, tile))
        # A slot before the first beat, one after the last; two where more than 1024 words take part.
        assert cycles + 2 <= accelerator.tile_cost(product, datapath, orientation, tile).issue_cycles <= cycles + 4
        even += 1


def test_products_that_are_alike_are_shown_once(trace_folder):
    """A patch embedding, 4 x 4 at stride 4: its dgrad has 16 phases of one tap each, all alike."""
    layers = LAYERS.replace("8,8,3,3,1,1,1,1,1,1,,false", "8,8,4,4,4,4,0,0,1,1,,true")
    opened = open_trace(trace_folder(layers=layers))
    for machine in ("bitfusion_16x32_192b", "eyeriss_12x14_108k"):
        found = explain(CostModel(load_hardware(machine)), in_iteration(opened, "conv", "dgrad", 0))
        assert [part.count for part in found.parts] == [16]
        assert 16 * found.parts[0].cycles == found.row["cycles"]
        assert 16 * sum(kind.tiles for kind in found.parts[0].kinds) == found.row["tiles"]
        assert "16 products alike, of 16" in explain_text(found)


def test_the_widths_of_an_iteration_are_those_given():
    met = in_iteration(trace(), "layer1.0.conv1", "dgrad", 0)
    given = at_widths(trace(), "layer1.0.conv1", "dgrad", "3,3,6", None)
    model = CostModel(load_hardware("int8_16x32_192b"))
    assert explain(model, met).row == explain(model, given).row
    assert explain(model, at_widths(trace(), "layer1.0.conv1", "dgrad", "3,3,6", 1)).row["samples"] == 1


def test_attention_and_a_product_of_one_tile(trace_folder):
    opened = open_trace(trace_folder())
    for machine in ("bitfusion_16x32_192b", "eyeriss_12x14_108k"):
        model = CostModel(load_hardware(machine))
        found = explain(model, in_iteration(opened, "attend", "dgrad_second", None))
        assert found.row["cycles"] == sum(part.count * part.cycles for part in found.parts)
        one_tile = explain(model, at_widths(opened, "fc", "forward", "8,8,8", 1))
        assert [part.loops for part in one_tile.parts] == [()]
        assert "tile: outputs 10, channels 8" in explain_text(one_tile)


@pytest.mark.parametrize("machine", ["bitfusion_16x32_192b", "eyeriss_12x14_108k"])
def test_json_holds_what_the_text_says(bitsim_command, machine):
    arguments = ["explain", TRACE, "--hw", machine, "--layer", "layer2.0.conv1", "--pass", "dgrad"]
    status, out, _ = bitsim_command(*arguments, "--format", "json")
    found = json.loads(out)["explain"]
    assert status == 0 and found == json.loads(json.dumps(explain_document(explained(machine, *arguments[5::2]))))
    text = explain_text(explained(machine, *arguments[5::2]))
    assert f"{found['row']['cycles']:,} cycles" in text
    for part in found["parts"]:
        for one in part["sums"]:
            assert not one["total"] or f"{one['expression']} = {one['total']:,}" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layer", "layer2.0.conv", "--pass", "forward"], ["layer2.0.conv: no such layer", "layer2.0.conv1"]),
        (["--layer", "nothing like it", "--pass", "forward"], ["no such layer, allowed: conv1"]),
        (["--layer", "fc", "--pass", "forwards"], ["no such pass, did you mean forward"]),
        (["--layer", "conv1", "--pass", "dgrad"], ["layer conv1 has no such pass", "forward, wgrad"]),
        (["--layer", "fc", "--pass", "forward", "--iteration", "999999999"], ["--iteration 999999999: allowed: 0 to"]),
        (["--layer", "fc", "--pass", "forward", "--bits", "4,4"], ["--bits 4,4: allowed", "e.g. 4,4,8"]),
        (["--layer", "fc", "--pass", "forward", "--bits", "0,4,33"], ["widths from 1 to 31"]),
        (
            ["--layer", "fc", "--pass", "forward", "--bits", "4,4,4", "--batch", "0"],
            ["--batch 0: allowed: 1 to 1048576"],
        ),
        (["--layer", "fc", "--pass", "forward", "--bits", "4,4,4", "--batch", "1048577"], ["--batch 1048577: allowed"]),
        (["--layer", "fc", "--pass", "forward", "--bits", "4,4,4", "--iteration", "1"], ["one of the two"]),
        (["--layer", "fc", "--pass", "forward", "--batch", "4"], ["with --bits"]),
        (["--layer", "fc", "--pass", "forward", "--set", "weight_bufer=1KiB"], ["did you mean weight_buffer"]),
        (["--layer", "layer1.0.conv1", "--pass", "forward", "--set", "weight_buffer=64B"], ["too small for any tile"]),
    ],
)
def test_refusals(bitsim_command, arguments, words):
    status, out, error = bitsim_command("explain", TRACE, "--hw", "bitfusion_16x32_192b", *arguments)
    assert status == 2 and out == ""
    assert len(error.splitlines()) == 1
    assert all(word in error for word in words), error


def test_a_layer_that_did_not_run_in_an_iteration(bitsim_command, trace_folder):
    precision = (
        "iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits\n"
        "0,100,conv,,4,4,8\n0,60,fc,0,4,4,8\n60,100,fc,,8,8,8\n0,100,attend,,8,8,8\n"
    )
    folder = trace_folder(precision=precision)
    arguments = ["explain", folder, "--hw", "bitfusion_16x32_192b", "--layer", "fc", "--pass", "forward"]
    status, _, error = bitsim_command(*arguments, "--iteration", "59")
    assert status == 2 and "--layer fc: did not run in iteration 59" in error
    status, out, _ = bitsim_command(*arguments)
    assert status == 0 and "widths of iteration 60" in out


def test_the_examples_of_the_page_are_what_the_command_prints():
    """If not, and numbers had to move: python -m tests.page_examples docs/explain.md."""
    examples = EXAMPLE.findall(PAGE.read_text())
    assert len(examples) == 3 and f"within {100 * NEAR:g} % of the best" in PAGE.read_text()
    for command, shown in examples:
        assert printed(command) == shown, command
