"""The event log is the run of the engines: its sums are theirs, and drawn cycle by cycle it is the per-cycle model."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsim.kernels import engines
from bitsim.kernels.event_log import (
    ARRIVED,
    BEGIN,
    HAZARD,
    ISSUE_END,
    ISSUE_FROM,
    LOAD_END,
    LOAD_GRANT,
    SET_UP,
    STORE_END,
    STORE_GRANT,
    SWITCH,
    VISIBLE,
    WAIT_LOAD,
    WAIT_STORE,
    event_log,
)
from bitsim.kernels.program import (
    C_FILL_DRAIN,
    C_HAZARD,
    C_ISSUE,
    C_SETUP,
    C_SWITCH,
    C_WAIT_LOAD,
    C_WAIT_STORE,
    FENCE,
    FLAGS,
    Nest,
)
from bitsim.kernels.stepped import NO_STALLS, stepped_cycles
from tests.strategies import nests, random_mapped_product, tile_programs

WAITS = {WAIT_LOAD: C_WAIT_LOAD, WAIT_STORE: C_WAIT_STORE, HAZARD: C_HAZARD, SWITCH: C_SWITCH}


def flat(tiles):
    return Nest(tiles, np.ones((1, len(tiles)), np.int64))


def drawn(log, tail, cycles):
    """(cycles, 4) as the per-cycle model logs it: class, whether a transfer runs, transfers finished, tiles visible."""
    kind = np.full(cycles, C_FILL_DRAIN)
    for line in log:
        at = line[BEGIN]
        for column, name in WAITS.items():
            kind[at : at + line[column]] = name
            at += line[column]
        assert at == line[SET_UP]
        kind[at : line[ISSUE_FROM]] = C_SETUP
        kind[line[ISSUE_FROM] : line[ISSUE_END]] = C_ISSUE
    kind[cycles - tail[C_WAIT_STORE] :] = C_WAIT_STORE
    busy, finished, visible = (np.zeros(cycles, np.int64) for _ in range(3))
    for grant, end in ((LOAD_GRANT, LOAD_END), (STORE_GRANT, STORE_END)):
        for line in log[log[:, grant] >= 0]:
            busy[line[grant] + 1 : line[end]] = 1
            finished[line[end] :] += 1
    for line in log:
        visible[line[VISIBLE] :] += 1
    return np.stack((kind, busy, finished, visible), axis=1)


@settings(max_examples=200, deadline=None)
@given(tile_programs())
def test_every_cycle_of_the_log_is_that_of_the_per_cycle_model(program):
    tiles, timing = program
    log = event_log([flat(tiles)], timing.array(), 0, len(tiles))
    cycles = log.cycles
    expected = np.full((cycles, 5), -1, np.int64)
    assert stepped_cycles(tiles, timing.array(), NO_STALLS, expected).sum() == cycles
    np.testing.assert_array_equal(drawn(log.tiles, log.tail, cycles), expected[:, [0, 2, 3, 4]])
    loads = log.tiles[log.tiles[:, LOAD_GRANT] >= 0]
    assert (loads[:, ARRIVED] - loads[:, LOAD_END] == timing.latency_cycles).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(nests(300), st.booleans()), min_size=1, max_size=4), st.data())
def test_sums_are_those_of_the_engine_and_a_range_is_a_part_of_the_whole(programs, data):
    timing = programs[0][0][1].array()
    listed = [nest for (nest, _), _ in programs]
    for nest, (_, fenced) in zip(listed, programs, strict=True):
        nest.rows[0, FLAGS] |= FENCE * fenced
    length = sum(nest.length for nest in listed)
    whole = event_log(listed, timing, 0, length)
    classes = np.array([table.sum(axis=0) for table in whole.classes])
    classes[-1] += whole.tail
    np.testing.assert_array_equal(classes, engines.collapsed(listed, timing))
    first = data.draw(st.integers(0, length))
    last = data.draw(st.integers(first, length))
    np.testing.assert_array_equal(event_log(listed, timing, first, last).tiles, whole.tiles[first:last])


def test_random_layers():
    rng = np.random.default_rng(31)
    for _ in range(60):
        nest, timing = random_mapped_product(rng)
        if nest.length > 20_000:
            continue
        log = event_log([nest], timing.array(), 0, nest.length)
        np.testing.assert_array_equal(
            log.classes[0].sum(axis=0) + log.tail, engines.collapsed([nest], timing.array())[0]
        )
        # What is in a buffer half at a time: transfers do not overlap on the port.
        port = np.concatenate((log.tiles[:, [LOAD_GRANT, LOAD_END]], log.tiles[:, [STORE_GRANT, STORE_END]]))
        port = port[port[:, 0] >= 0]
        port = port[np.argsort(port[:, 0], kind="stable")]
        assert (port[1:, 0] >= port[:-1, 1]).all()


def test_chunks_do_not_show(monkeypatch):
    nest, timing = random_mapped_product(np.random.default_rng(5))
    whole = event_log([nest], timing.array(), 0, min(nest.length, 50))
    monkeypatch.setattr("bitsim.kernels.event_log.CHUNK", 7)
    parts = event_log([nest], timing.array(), 0, min(nest.length, 50))
    np.testing.assert_array_equal(whole.tiles, parts.tiles)
    np.testing.assert_array_equal(whole.classes[0], parts.classes[0])
