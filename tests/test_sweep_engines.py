"""The same table from every engine; a worker that dies loses no point and doubles none."""

import os
import signal

import pandas as pd
import pytest

import bitsim
from bitsim.exploration import engines
from bitsim.exploration.space import make_axes, make_space
from bitsim.exploration.task import Outcome, Task, run, tasks
from tests.sweep_tools import GRID, small

KILLER_ROWS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.conftest import LAYERS, PRECISION, RUN

    place = tmp_path_factory.mktemp("trace") / "small"
    place.mkdir()
    for name, text in (("run.yaml", RUN), ("layers.csv", LAYERS), ("precision.csv", PRECISION)):
        (place / name).write_text(text)
    return place


def four_tasks(folder):
    trace, machine = small(folder)
    space = make_space([trace], [machine.source], make_axes({"array.rows": [4, 8, 12, 16]}, [machine.source]), {})
    return tasks(space, space.points())


def killed_once(mark, numbered, work, parent):
    """`run`, but the process that comes first to the point of 8 rows is killed."""
    if work.points[0].overrides["array.rows"] == KILLER_ROWS:
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return numbered, run(work)


def killed_always(numbered, work, parent):
    """`run`, but the point of 8 rows kills every process."""
    if work.points[0].overrides["array.rows"] == KILLER_ROWS:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbered, run(work)


def test_tasks_are_a_partition_and_keep_structures_together(folder):
    trace, machine = small(folder)
    space = make_space([trace], [machine.source], make_axes(GRID, [machine.source]), {})
    listed = tasks(space, space.points(), most=3)
    assert sorted(p.index for t in listed for p in t.points) == list(range(8))
    assert [len(t.points) for t in listed] == [2, 2, 2, 2]
    assert all(len({p.overrides["array.rows"] for p in t.points}) == 1 for t in listed)


def test_another_version_on_a_worker_is_a_failure(folder):
    (first, *_) = four_tasks(folder)
    old = Task(first.trace, first.machine, first.choices, first.points, version="0.0.1")
    (outcome,) = run(old)
    assert outcome.record is None and "the sweep is of 0.0.1" in outcome.reasons[0]


@pytest.mark.slow
def test_processes_give_the_table_of_one(folder):
    """Each with its own order of tasks and its own memory of what it found."""
    trace, machine = small(folder)
    serial = bitsim.sweep(trace, machine, GRID).frame
    assert bitsim.sweep(trace, machine, GRID).frame.equals(serial)
    pd.testing.assert_frame_equal(bitsim.sweep(trace, machine, GRID, jobs=2).frame, serial, check_exact=True)


@pytest.mark.slow
def test_a_killed_process_loses_no_point(folder, tmp_path, monkeypatch):
    from functools import partial

    monkeypatch.setattr(engines, "_numbered", partial(killed_once, tmp_path / "killed"))
    listed = four_tasks(folder)
    outcomes = [o for found in engines.LocalEngine(2).outcomes(listed) for o in found]
    assert (tmp_path / "killed").exists()
    assert same(outcomes, listed)


@pytest.mark.slow
def test_a_point_that_kills_its_process_is_found(folder, monkeypatch):
    monkeypatch.setattr(engines, "_numbered", killed_always)
    outcomes = [o for found in engines.LocalEngine(2).outcomes(four_tasks(folder)) for o in found]
    failed = [o for o in outcomes if o.record is None]
    assert len(outcomes) == 4 and len({o.point.index for o in outcomes}) == 4
    assert [(o.point.overrides["array.rows"], o.reasons) for o in failed] == [
        (KILLER_ROWS, ("its worker process was killed (out of memory?)",))
    ]


def same(outcomes, listed):
    """Every point once, each as in this process."""
    expected: list[Outcome] = [o for work in listed for o in run(work)]
    return sorted(outcomes, key=lambda o: o.point.index) == sorted(expected, key=lambda o: o.point.index)
