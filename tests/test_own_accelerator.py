"""The accelerator of docs/own_accelerator.md, used as anybody would: a file outside bitsim, named package.module."""

import itertools
import re
import shlex
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
