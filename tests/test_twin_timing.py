"""The chain: collapsed = event = per-cycle model, class by class; and all meet the closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.errors import InputError
from bitsim.kernels import engines
from bitsim.kernels.collapsed import collapsed_cycles
from bitsim.kernels.event import event_cycles
from bitsim.kernels.program import (
    C_ISSUE,
    FENCE,
    FLAGS,
    ISSUE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    STORE,
    STORE_BEATS,
    SWITCH,
    Nest,
    PortTiming,
)
from bitsim.kernels.stepped import NO_LOG, NO_STALLS, stepped_cycles
from tests.strategies import LOAD, REDUCE, SCALES, nests, random_mapped_product, random_program, tile_programs


def test_collapsed_equals_event_where_runs_are_alike():
    """Runs of one loop made of the same tiles: what was remembered of a run must not be taken for the next one's."""
    rng = np.random.default_rng(11)
    for _ in range(3000):
        kinds = [int(rng.integers(1, 4)) for _ in range(int(rng.integers(1, 4)))]
        runs = np.zeros((len(kinds), 3), np.int64)
        for level, count in enumerate(kinds):
            runs[level, :count] = rng.integers(1, 9, count)
        tiles, timing = random_program(rng, int(rng.integers(1, 4)), int(rng.choice([1, 3, 20])), 0.3, 0.5)
        rows = tiles[rng.integers(0, len(tiles), int(np.prod(kinds)))]
        rows[0] = tiles[0]
        expected = event_cycles(Nest(rows, runs).tiles, timing.array())
        assert collapsed_cycles(rows, runs, timing.array()).tolist() == expected.tolist()


@settings(max_examples=2000, deadline=None)
@given(tile_programs())
def test_event_equals_stepped(program):
    tiles, timing = program
    np.testing.assert_array_equal(
        event_cycles(tiles, timing.array()), stepped_cycles(tiles, timing.array(), NO_STALLS, NO_LOG)
    )


@pytest.mark.parametrize("part", range(4))
def test_twenty_thousand_programs(part):
    rng = np.random.default_rng([20_000, part])
    for number in range(5_000):
        choices = (rng.choice(values) for values in (SCALES, REDUCE, LOAD))
        tiles, timing = random_program(rng, int(rng.integers(1, 25)), *choices)
        event = event_cycles(tiles, timing.array())
        stepped = stepped_cycles(tiles, timing.array(), NO_STALLS, NO_LOG)
        assert (event == stepped).all(), (part, number, event, stepped)


def test_event_equals_stepped_at_the_edges():
    """Programs that load nothing at first, or store nothing at the end; no beat in a store; long machine constants."""
    rng = np.random.default_rng(3)
    for number in range(4_000):
        tiles, _ = random_program(rng, int(rng.integers(1, 8)), int(rng.choice([1, 3])), 0.3, float(rng.choice(LOAD)))
        tiles[rng.random(len(tiles)) < 0.3, STORE_BEATS] = 0
        unloaded = int(rng.integers(0, len(tiles) + 1))
        tiles[:unloaded, :STORE_BEATS] = 0
        tiles[:unloaded, FLAGS] &= ~(LOAD_INPUT | LOAD_WEIGHT)
        if rng.random() < 0.3:
            tiles[-1, FLAGS] &= ~STORE
        timing = PortTiming(*(int(rng.choice([0, 1, 40])) for _ in range(4))).array()
        event = event_cycles(tiles, timing)
        stepped = stepped_cycles(tiles, timing, NO_STALLS, NO_LOG)
        assert (event == stepped).all(), (number, event, stepped)


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_layers(part):
    """collapsed == per-cycle model on products of random layers under random mappings, machines and ports."""
    rng = np.random.default_rng([10_000, part])
    done, most_tiles = 0, 0
    while done < 2_500:
        nest, timing = random_mapped_product(rng)
        if nest.counts.sum() > 3_000 or (nest.rows[:, ISSUE] * nest.counts).sum() > 300_000:
            continue
        collapsed = collapsed_cycles(nest.rows, nest.runs, timing.array())
        stepped = stepped_cycles(nest.tiles, timing.array(), NO_STALLS, NO_LOG)
        assert (collapsed == stepped).all(), (part, done, collapsed, stepped)
        done, most_tiles = done + 1, max(most_tiles, int(nest.counts.sum()))
    assert most_tiles > 2_000


@settings(max_examples=3000, deadline=None)
@given(nests())
def test_collapsed_equals_event(nest_and_timing):
    nest, timing = nest_and_timing
    tiles = nest.tiles
    assert nest.counts.sum() == len(tiles)
    collapsed = collapsed_cycles(nest.rows, nest.runs, timing.array())
    np.testing.assert_array_equal(collapsed, event_cycles(tiles, timing.array()))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(tile_programs(), st.booleans()), min_size=2, max_size=5))
def test_engines_agree_on_programs_that_follow_each_other(programs):
    timing = programs[0][0][1].array()
    nests = []
    for (tiles, _), fenced in programs:
        tiles[0, FLAGS] |= FENCE * fenced
        ones = np.ones((1, len(tiles)), np.int64)
        nests.append(Nest(tiles, ones))
    collapsed = engines.collapsed(nests, timing)
    np.testing.assert_array_equal(collapsed, engines.event(nests, timing))
    np.testing.assert_array_equal(collapsed, engines.stepped(nests, timing))


def test_a_fence_puts_the_stores_before_it_first():
    """Two tiles of one program without a fence, and with: the second load waits for the first store's last beat."""
    one = [4, 0, 0, 6, 10, 3, LOAD_INPUT | LOAD_WEIGHT | NEW_OUTPUT | STORE | SWITCH]
    timing = PortTiming(setup_cycles=1).array()
    # load 0-4, issue 6-15, visible 18; store 18-24; load 25-29, set-up 30, issue 31-40, visible 43, store -49
    assert event_cycles(np.array([one, [*one[:6], one[6] | FENCE]]), timing).sum() == 50
    # load 0-4, load 5-9 (the other half); store 18-24; tile 1: set-up 18 (switch), issue 19-28, visible 31, store -37
    assert event_cycles(np.array([one, one]), timing).sum() == 38


def test_collapsed_takes_what_cannot_be_laid_out():
    """10^18 tiles of one loop: n tiles of the steady state, in closed form."""
    rows = np.array([[4, 0, 0, 0, 100, 9, 23], [4, 0, 0, 0, 100, 9, 1], [4, 0, 0, 5, 100, 9, 9]])
    count = 10**16
    cycles = collapsed_cycles(rows, np.array([[1, count - 2, 1]]), PortTiming(0).array())
    small = event_cycles(Nest(rows, np.array([[1, 98, 1]])).tiles, PortTiming(0).array())
    per_tile = 100 + 9  # accumulating: every tile waits for the drain of the one before
    assert cycles.sum() - small.sum() == (count - 100) * per_tile
    with pytest.raises(InputError, match="collapsed takes any number"):
        Nest(rows, np.array([[1, count - 2, 1]])).tiles  # noqa: B018


@given(st.integers(1, 99), st.integers(1, 99), st.integers(1, 99), st.integers(0, 99), st.integers(2, 64))
def test_one_isolated_tile(load, store, issue, latency, size):
    """l + L + I + s + N + M + 3 cycles at the recommended values."""
    tiles = np.array([[load, 0, 0, store, issue, 2 * size + 1, LOAD_INPUT | LOAD_WEIGHT | NEW_OUTPUT | STORE | SWITCH]])
    expected = load + latency + issue + store + 2 * size + 3
    timing = PortTiming(latency).array()
    assert event_cycles(tiles, timing).sum() == expected
    assert stepped_cycles(tiles, timing, NO_STALLS, NO_LOG).sum() == expected


@settings(deadline=None)
@given(tile_programs(), st.integers(0, 6), st.data())
def test_more_of_anything_is_never_faster(program, column, data):
    """Program order makes every time a maximum of sums: monotone in each beat, issue and drain."""
    tiles, timing = program
    column = min(column, 5)
    more = tiles.copy()
    row = data.draw(st.integers(0, len(tiles) - 1))
    if more[row, column] or column in (3, 4):
        more[row, column] += data.draw(st.integers(1, 50))
    assert event_cycles(more, timing.array()).sum() >= event_cycles(tiles, timing.array()).sum()


@settings(deadline=None)
@given(tile_programs())
def test_issue_is_its_sum_and_stalls_only_slow(program):
    tiles, timing = program
    result = event_cycles(tiles, timing.array())
    assert result[C_ISSUE] == tiles[:, ISSUE].sum()
    assert (result >= 0).all()
    stalled = stepped_cycles(tiles, timing.array(), np.array([0, 1, 1], np.uint8), NO_LOG)
    assert stalled.sum() >= result.sum()
    assert tiles[0, FLAGS] & NEW_OUTPUT
