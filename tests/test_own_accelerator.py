"""Accelerators as anybody adds one: that of docs/own_accelerator.md, and the least there can be, each in one file."""

import itertools
import json
import re
import shlex
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bitsim
from bitsim.accelerators.registry import accelerator_class
from bitsim.errors import InputError
from bitsim.mapping.candidates import shapes
from bitsim.mapping.record import DIMENSIONS, dimension_sizes
from bitsim.workload import lower
from tests.pages import COLUMNS, DOCS, checked, fences
from tests.test_counters import conv_layers

EXAMPLES = DOCS / "examples"
MACHINE = EXAMPLES / "output_stationary_16x32.yaml"


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return bitsim.load_hardware(MACHINE, {"array.rows": 3, "array.cols": 4})


def play(product, machine, datapath):
    """(issue cycles, words read of input and of weight operand, real MACs) of the product as one tile, step by step."""
    rows, cols = machine.accelerator.config.array.rows, machine.accelerator.config.array.cols
    places = list(itertools.product(range(product.batch), range(product.rows.positions), range(product.cols.positions)))
    taps = list(itertools.product(product.rows.taps, product.cols.taps))

    def real(place, tap):
        at = [p * axis.stride + t for p, axis, t in zip(place[1:], (product.rows, product.cols), tap, strict=True)]
        return 0 <= at[0] < product.rows.extent and 0 <= at[1] < product.cols.extent

    pairs = list(itertools.product(range(product.channels), taps))
    standing, steps = (pairs, places) if product.writes_filter else (places, pairs)
    cycles = inputs = weights = macs = 0
    for _ in range(product.groups):
        for first, column in itertools.product(range(0, len(standing), rows), range(0, product.outputs, cols)):
            block, width = standing[first : first + rows], min(cols, product.outputs - column)
            sent = 0
            for _, step in itertools.product(range(datapath.passes), steps):
                sent += 1
                weights += width
                for stands in block:
                    place, tap = (step, stands[1]) if product.writes_filter else (stands, step[1])
                    if real(place, tap):
                        inputs += 1
                        macs += width
            cycles += max(sent, rows) if steps else 0
    return cycles, inputs, weights, macs // datapath.passes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), conv_layers(), st.integers(1, 2), st.sampled_from([4, 8, 12]), st.sampled_from([8, 16]))
def test_the_cost_of_a_tile_is_what_playing_it_counts(machine, data, layer, batch, input_bits, weight_bits):
    accelerator = machine.accelerator
    product = data.draw(st.sampled_from(lower(layer, data.draw(st.sampled_from(layer.passes())), batch)))
    datapath = accelerator.datapath(product, input_bits, weight_bits, None)
    (orientation,) = accelerator.orientations(product)
    sizes = dimension_sizes(product)
    tile = shapes(product, np.array([[sizes[d] for d in DIMENSIONS]]))
    cost = accelerator.tile_cost(product, datapath, orientation, tile)
    cycles, inputs, weights, macs = play(product, machine, datapath)
    assert np.all(cost.issue_cycles == cycles)
    pairs = product.real_macs // (product.groups * product.outputs * product.channels)
    # Every pass reads its slices: a slice of 8 bits each time.
    assert np.all(cost.per_tap["input_buffer_read_bits"] * pairs == inputs * 8)
    assert np.all(cost.per_tile["weight_buffer_read_bits"] == weights * 8)
    assert np.all(cost.per_tap["bit_products"] * pairs == macs * datapath.input_hw_bits * datapath.weight_hw_bits)


def test_engines_agree_on_it_and_nothing_is_lost(machine, trace_folder):
    trace = bitsim.open_trace(trace_folder())
    totals = [bitsim.simulate(trace, machine, timing=engine).totals for engine in ("event", "collapsed")]
    assert totals[0] == totals[1]
    reference = bitsim.simulate(trace, bitsim.load_hardware("int8_16x32_192b")).totals
    assert (totals[0]["macs"], totals[0]["bit_ops"]) == (reference["macs"], reference["bit_ops"])


def test_the_page_shows_the_files_and_its_commands_run(monkeypatch, bitsim_command):
    page = DOCS / "own_accelerator.md"
    text = page.read_text()
    for file in (MACHINE, EXAMPLES / "my_machines" / "output_stationary.py"):
        assert f'--8<-- "{file.relative_to(DOCS)}"' in text
    monkeypatch.chdir(DOCS.parent)
    monkeypatch.syspath_prepend(EXAMPLES)  # what PYTHONPATH=docs/examples does
    monkeypatch.setenv("COLUMNS", COLUMNS)
    ran = []
    for kind, _, content in fences(page):
        for line in content.splitlines() if kind == "bash" else ():
            path, program, *arguments = shlex.split(line)
            assert (path, program) == ("PYTHONPATH=docs/examples", "bitsim")
            status, out, err = bitsim_command(*arguments)
            assert status == 0, err
            ran.append(out)
        if kind == "text":
            checked(page, ran[-1], content)
            shown = content
    assert len(ran) == 2 and "output_stationary_16x32, by pass" in ran[1]
    said = text.partition("The two arrays")[2].partition("## ")[0]
    figures = re.findall(r"\d+\.\d+(?: times| m?J\b| s\b|)", said)
    assert figures and [f for f in figures if f.replace(" times", "x") not in shown] == []


def test_without_its_folder_on_the_path_it_is_named(bitsim_command):
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "my_machines"]:
        del sys.modules[name]
    status, out, err = bitsim_command("hw", "check", MACHINE)
    assert (status, out) == (2, "") and "my_machines.output_stationary: no such machine" in err
    assert str(Path(MACHINE)) in err


@pytest.mark.parametrize("name", ["seam", "registry", "operand_buffers", "row_stationary"])
def test_what_machines_are_made_of_is_no_machine(name):
    with pytest.raises(
        InputError, match=rf"accelerator: {name}: no such machine, allowed: bit_serial, bitfusion, eyer"
    ):
        accelerator_class(name)


def test_a_machine_that_leaves_a_question_open_is_told_which(tmp_path, monkeypatch):
    source = Path(EXAMPLES, "my_machines", "output_stationary.py").read_text()
    for question in ("def granules(", "def slices("):
        assert question in source
        source = source.replace(question, question.replace("def ", "def not_"))
    (tmp_path / "my_drafts").mkdir()
    (tmp_path / "my_drafts" / "unfinished.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"my_drafts\.unfinished: its class Accelerator lacks granules, slices"):
        accelerator_class("my_drafts.unfinished")


SCALAR = '''
"""One multiplier that takes a cycle a product: the least accelerator there can be."""
from bitsim.accelerators.seam import INPUT, OUTPUT, WEIGHT, ArrayPrices, Buffer, Logic, Orientation, TileCost, UnitEvent
from bitsim.accelerators.seam import Accelerator as Seam
from bitsim.hardware.schema import MachineConfig, Section, SizeBits, WidthOrError

class Precision(Section):
    bits: int
    float: WidthOrError = 16

class Config(MachineConfig):
    precision: Precision
    scratch: SizeBits

class Accelerator(Seam):
    config_model = Config
    peak_bit_products_per_cycle = 256

    def buffers(self):
        return (Buffer("scratch", self.config.scratch, 2, 1, 32),)

    def slices(self, bits):
        return self.config.precision.bits, -(-bits // self.config.precision.bits)

    def orientations(self, product):
        return (Orientation("only", {INPUT: "scratch", WEIGHT: "scratch", OUTPUT: "scratch"}),)

    def granules(self, product, datapath, orientation):
        return {}

    def footprint_bits(self, product, datapath, orientation, tile):
        widths = {INPUT: datapath.buffer_bits[0], WEIGHT: datapath.buffer_bits[1], OUTPUT: datapath.accumulator_bits}
        return {role: tile.words(role) * bits for role, bits in widths.items()}

    def tile_cost(self, product, datapath, orientation, tile):
        work = tile.groups * tile.positions * tile.taps * tile.outputs * tile.channels
        return TileCost(
            issue_cycles=work * datapath.passes,
            drain_cycles=1,
            per_tile={"scratch_write_bits": tile.words(OUTPUT) * datapath.accumulator_bits},
            per_tap={"products": tile.groups * tile.outputs * tile.channels, "scratch_read_bits": 32},
        )

    def array_prices(self):
        return ArrayPrices((UnitEvent("products", 0.6, "made up for a test"),), 0.0, "made up for a test")

    def logic(self):
        return (Logic("multiplier", 1, 0.002, "made up for a test"),)
'''
SCALAR_YAML = """schema: 1
accelerator: scalar_machine
clock: 100 MHz
array: {rows: 1, cols: 1}
precision: {bits: 16}
scratch: 64 KiB
memory: {bandwidth: 1 Gbit/s, latency: 100 ns, energy: DDR4}
technology: {node_nm: 45, sram_cells: itrs-lstp}
"""


def test_a_third_accelerator_is_one_file_and_one_yaml(tmp_path, monkeypatch, trace_folder, bitsim_command):
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "scalar_machine.py").write_text(textwrap.dedent(SCALAR))
    path = tmp_path / "scalar.yaml"
    path.write_text(SCALAR_YAML.replace("scalar_machine", "mypackage.scalar_machine"))
    monkeypatch.syspath_prepend(tmp_path)
    status, out, err = bitsim_command(
        "run", trace_folder(), "--hw", path, "--hw", "bitfusion_16x32_192b", "--format", "json"
    )
    assert status == 0, err
    rows = json.loads(out)["runs"][0]["rows"]
    assert all(r["issue_cycles"] == r["macs"] * r["passes"] for r in rows if r["layer"] != "conv")
    sys.modules.pop("mypackage.scalar_machine", None)
