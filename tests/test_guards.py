"""Work a design point takes, counted rather than timed: the same on every machine, so speed that is lost is seen.

Bounds are some 20 % above what was counted when they were set; a change that needs more says so here.
"""

import ast
import inspect
import resource
import sys
import textwrap
from types import FunctionType

import numpy as np
import pytest
from numba.core.errors import NumbaError

from bench.design_points import TRAINING, WIDTHS, cycles, resnet18
from bench.random_layers import random_nests
from bitsim import load_hardware
from bitsim.kernels import choice, cutting, event, event_log, lowering, ranking, recurrence, stepped
from bitsim.kernels import collapsed as engine
from bitsim.kernels.compile import Kernel, _roomy, compiled
from bitsim.kernels.program import Nest, PortTiming
from bitsim.mapping.memo import SearchMemo
from bitsim.simulation.cost import CostModel
from bitsim.trace import spans, tally
from bitsim.workload import FORWARD
from tests.strategies import random_program

KERNELS = (engine, choice, cutting, event, event_log, lowering, ranking, recurrence, stepped)
TIMING = PortTiming(40).array()
# Times that matter to nobody once they lie before: end of issue, next grant.
TOO_OLD = {recurrence.LOADED: recurrence.END, recurrence.STORED: recurrence.END} | dict.fromkeys(
    (recurrence.DONE_BEFORE, recurrence.INPUT_RELEASE, recurrence.WEIGHT_RELEASE), recurrence.FREE
)
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


def tiles_stepped(nest, timing=TIMING):
    """How many tiles the collapsed engine advances one by one, and its cycles by class."""
    count = 0

    def advance(*arguments):
        nonlocal count
        count += 1
        engine.advance(*arguments)

    written = engine.advance_nest.py_func
    walk = FunctionType(written.__code__, written.__globals__ | {"advance": advance})
    state, out = np.zeros(engine.STATE, np.int64), np.zeros(7, np.int64)
    engine.start(state)
    walk(state, nest.rows, nest.runs, timing, out, np.empty((len(nest.runs) + 1, engine.LEVEL), np.int64))
    engine.finish(state, timing, out)
    return count, out


@pytest.mark.parametrize("name, most", [("bitfusion_16x32_192b", 300), ("eyeriss_12x14_108k", 18000)])
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
    assert counted / len(layers) < 100


@pytest.mark.parametrize("name, most", [("bitfusion_16x32_192b", 42), ("eyeriss_12x14_108k", 140)])
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


def states_before(tiles, timing):
    """What the future of a program can depend on before each of its tiles, and after the last."""
    state, out, found = np.zeros(recurrence.STATE, np.int64), np.zeros(7, np.int64), []
    recurrence.start(state)
    for tile in [None, *tiles]:
        if tile is not None:
            recurrence.advance(state, tile, timing, out)
        since = state.copy()
        for time, matters_from in TOO_OLD.items():
            since[time] = max(state[time], state[matters_from])
        since[: recurrence.TIMES] -= state[recurrence.END]
        found.append(since.tolist())
    return found


def stepped_of_a_run(states, trips):
    """Tiles stepped of a run: Brent keeps the states before tiles 0, 1, 3, 7, ... and jumps where one returns."""
    for at in range(1, trips - 1):
        kept = 2 ** (at.bit_length() - 1) - 1
        if states[at] == states[kept]:
            period = at - kept
            return trips - (trips - at - 1) // period * period
    return trips


def test_a_period_is_jumped_as_soon_as_it_can_be_seen():
    """One loop of two runs; that it is one is seen in the first run one tile late, since no state is kept before it."""
    rng = np.random.default_rng(5)
    jumped = set()
    for _ in range(300):
        tiles, timing = random_program(rng, 2, int(rng.choice([1, 3, 20, 200])), 0.3, 0.7)
        tiles[:, recurrence.FLAGS] |= recurrence.STORE
        # Port and array nearly in balance: it takes long until one of them has caught up.
        tiles[1, recurrence.ISSUE] = tiles[1, : recurrence.ISSUE].sum() + 2 + rng.integers(-1, 4)
        first, second = (int(n) for n in rng.integers(1, 150, 2))
        states = states_before(np.repeat(tiles, [first, second], axis=0), timing.array())
        expected = 1 + stepped_of_a_run(states[1:], first - 1) + stepped_of_a_run(states[first:], second)
        stepped, _ = tiles_stepped(Nest(tiles, np.array([[first, second]], np.int64)), timing.array())
        assert stepped == expected
        jumped.add(first + second - stepped)
    assert len(jumped) > 20


def constants_handed_over(kernel, found):
    """Add the constants that calls in a kernel hand over to {(called kernel, place of the argument): constants}."""
    known = kernel.py_func.__globals__
    for call in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kernel.py_func)))):
        if not (isinstance(call, ast.Call) and isinstance(known.get(getattr(call.func, "id", "")), Kernel)):
            continue
        for place, argument in enumerate(call.args):
            try:
                value = known.get(argument.id) if isinstance(argument, ast.Name) else ast.literal_eval(argument)
            except ValueError:
                continue  # computed
            if isinstance(value, int):
                found.setdefault((call.func.id, place), set()).add(value)


def test_no_kernel_is_compiled_once_for_each_constant():
    kernels = {
        value for module in (*KERNELS, spans, tally) for value in vars(module).values() if isinstance(value, Kernel)
    }
    assert len(kernels) > 40
    found = {}
    for kernel in kernels:
        constants_handed_over(kernel, found)
    assert found and {what: constants for what, constants in found.items() if len(constants) > 1} == {}


def test_kernels_of_a_search_make_no_arrays():
    """Numba would count who holds each row they look at, in atomic steps: half of their time and more."""
    made = {
        kernel.__name__
        for module in (*KERNELS, spans, tally)
        for kernel in vars(module).values()
        if isinstance(kernel, Kernel) and kernel.allocates
    }
    once = {"event_cycles", "collapsed_cycles", "stepped_programs", "stepped_cycles"}  # small ones, once a program
    assert made == once | {"end_of_first", "log_tiles"}
    with pytest.raises(NumbaError):
        compiled(rows_copied)(np.zeros((2, 3), np.int64))


def rows_copied(table):
    """Sum of all, by way of an array of its own."""
    total = 0
    for r in range(table.shape[0]):
        row = table[r].copy()
        total += row.sum()
    return total


def test_kernels_are_compiled():
    plain = [
        f"{module.__name__}.{name}"
        for module in KERNELS
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__
    ]
    assert plain == ["bitsim.kernels.event_log.event_log"]  # makes tables for the kernels below it


def at_depth(depth, work):
    return at_depth(depth - 1, work) if depth else work()


def faults_of_calls():
    """Pages mapped anew by a thousand calls."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(1000):
        at_depth(1, int)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_compiling_maps_no_memory_at_every_call():
    """However deep calls stand when a kernel is compiled: outside, one depth in 150 maps a page at each call."""
    depths = range(300)
    assert max(_roomy(lambda depth: at_depth(depth, faults_of_calls), (depth,)) for depth in depths) < 100
