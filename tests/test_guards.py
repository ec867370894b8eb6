"""Work a design point takes, counted rather than timed: the same on every machine, so speed that is lost is seen.

Bounds are some 20 % above what was counted when they were set; a change that needs more says so here.
"""

import sys
from types import FunctionType

import numpy as np
import pytest

from bench.design_points import TRAINING, WIDTHS, cycles, resnet18
from bench.random_layers import random_nests
from bitsim import load_hardware
from bitsim.kernels import collapsed as engine
from bitsim.kernels.program import Nest, PortTiming
from bitsim.mapping.memo import SearchMemo
from bitsim.simulation.cost import CostModel
from bitsim.workload import FORWARD

TIMING = PortTiming(40).array()
ROWS = 62  # of a training iteration of ResNet-18


def python_calls(work):
    """Calls of Python functions in `work`: those of numpy and of compiled kernels are not among them."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def tiles_stepped(nest):
    """How many tiles the collapsed engine advances one by one, and its cycles by class."""
    count = 0

    def advance(*arguments):
        nonlocal count
        count += 1
        engine.advance(*arguments)

    plain = engine.advance_nest.py_func
    walk = FunctionType(plain.__code__, plain.__globals__ | {"advance": advance})
    state, out = np.zeros(engine.STATE, np.int64), np.zeros(7, np.int64)
    engine.start(state)
    walk(state, nest.rows, nest.runs, TIMING, out)
    engine.finish(state, TIMING, out)
    return count, out


@pytest.mark.parametrize("name, most", [("bitfusion_16x32_192b", 365), ("eyeriss_12x14_108k", 3150)])
def test_calls_of_a_new_design_point(name, most):
    machine, layers = load_hardware(name), resnet18()
    cycles(CostModel(machine), layers, TRAINING)  # kernels, tables of prices and tilings are there
    counted = python_calls(lambda: cycles(CostModel(machine), layers, TRAINING))
    assert counted / ROWS < most


def test_a_price_is_no_reason_to_map_again():
    layers, memo = resnet18(), SearchMemo()
    cheap, dear = (
        load_hardware("bitfusion_16x32_192b", {"memory.energy": price}) for price in ("LPDDR4", "LPDDR4-flat")
    )
    for machine in (dear, cheap, dear):  # tables of prices are there
        cycles(CostModel(machine, memo=memo), layers, (FORWARD,))
    known = len(memo)
    counted = python_calls(lambda: cycles(CostModel(cheap, memo=memo), layers, (FORWARD,)))
    assert len(memo) == known > 0
    assert counted / len(layers) < 132


@pytest.mark.parametrize("name, most", [("bitfusion_16x32_192b", 58), ("eyeriss_12x14_108k", 45)])
def test_mappings_timed_a_product(name, most):
    model = CostModel(load_hardware(name))
    parts = {
        part.product: len(part.contenders)
        for layer in resnet18()
        for pass_name in layer.passes()
        for part in model.contenders(layer, pass_name, 1, WIDTHS)
    }
    assert len(parts) > 20
    assert sum(parts.values()) / len(parts) < most


def test_each_product_is_searched_once():
    model, layers = CostModel(load_hardware("bitfusion_16x32_192b")), resnet18()
    timed = 0
    timer = model._timer

    def counting(programs, port):
        nonlocal timed
        timed += 1
        return timer(programs, port)

    model._timer = counting
    cycles(model, layers, TRAINING)
    first = timed
    cycles(model, layers, TRAINING)
    assert timed == first < ROWS


def test_collapsed_steps_not_all_tiles():
    # Small nests, up to 8 tiles a dimension: little repeats in them.
    nests = random_nests(100, seed=0)
    stepped = sum(tiles_stepped(nest)[0] for nest in nests)
    assert stepped < 0.85 * sum(int(nest.counts.sum()) for nest in nests)


def test_a_longer_loop_steps_no_more_tiles():
    """A single loop of one tile: its period is jumped, however often it runs."""
    row = np.array([[7, 3, 0, 50, 5, 20, 15]], np.int64)
    counts = [tiles_stepped(Nest(row, np.array([[trips]], np.int64)))[0] for trips in (100, 1000)]
    assert counts[0] == counts[1] < 20
