"""A search of a space: as many points as asked for, the same on every run, better than as many at random."""

import numpy as np
import pandas as pd
import pytest

import bitsim
from bitsim.exploration.campaign import Campaign
from bitsim.exploration.search import explore
from bitsim.exploration.space import make_axes, make_space
from bitsim.exploration.task import Outcome
from tests.sweep_tools import GRID, needs_library, small

pytestmark = needs_library("optuna", "search")


class Formula:
    """An engine that costs a point by a formula, to look at the search alone."""

    def outcomes(self, tasks):
        for work in tasks:
            yield [Outcome(point, self.cost(point)) for point in work.points]

    def cost(self, point):
        rows, cols = point.overrides["array.rows"], point.overrides["array.cols"]
        return {"latency_s": 1 / (rows * cols), "energy_j": 1 + abs(rows - 4 * cols) + rows * cols / 100}


def explored(folder, count, seed):
    trace, machine = small(folder)
    axes = make_axes({"array.rows": "1:64:+1", "array.cols": "1:64:+1"}, [machine.source])
    campaign = Campaign(make_space([trace], [machine.source], axes, {}), [], Formula())
    explore(campaign, count, ["latency_s", "energy_j"], seed)
    return campaign


@pytest.mark.slow
def test_search_beats_as_many_points_at_random(trace_folder):
    """Area under the front of 200 of 4,096 points, in the mean of three seeds."""
    folder = trace_folder()
    whole = 64 * 64

    def area(records):
        pairs = sorted((np.log(r["latency_s"]), r["energy_j"]) for r in records)
        steps = np.minimum.accumulate([energy for _, energy in pairs])
        edges = np.append([time for time, _ in pairs], 0.0)
        return float(np.dot(np.diff(edges), steps))

    searched, at_random = [], []
    for seed in range(3):
        campaign = explored(folder, 200, seed)
        assert len(campaign.records) == 200
        searched.append(area(campaign.records.values()))
        chosen = np.random.default_rng(seed).choice(whole, 200, replace=False)
        grid = list(campaign.space.points())
        at_random.append(area([Formula().cost(grid[place]) for place in chosen]))
    assert np.mean(searched) < np.mean(at_random)


def test_a_searched_point_is_that_of_the_grid(trace_folder):
    campaign = explored(trace_folder(), 100, 1)
    grid = {point.index: point for point in campaign.space.points()}
    for index, record in campaign.records.items():
        assert record["point"] == grid[index].identity
        assert record["array.rows"] == grid[index].overrides["array.rows"]


def test_search_of_less_than_asked_for_finds_everything(trace_folder):
    found = bitsim.sweep(*small(trace_folder()), GRID, search=50)
    pd.testing.assert_frame_equal(found.frame, bitsim.sweep(*small(trace_folder()), GRID).frame, check_exact=True)


@pytest.mark.slow
def test_search_is_the_same_with_processes_and_when_resumed(trace_folder, tmp_path):
    trace, machine = small(trace_folder())
    grid = {**GRID, "array.cols": "4:32:+4", "input_buffer": "8KiB:64KiB:x2"}
    first = bitsim.sweep(trace, machine, grid, search=40, out=tmp_path / "out")
    again = bitsim.sweep(trace, machine, grid, search=40, jobs=2)
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)
    longer = bitsim.sweep(trace, machine, grid, search=60, out=tmp_path / "out", resume=True)
    fresh = bitsim.sweep(trace, machine, grid, search=60)
    pd.testing.assert_frame_equal(longer.frame, fresh.frame, check_exact=True)
    other = bitsim.sweep(trace, machine, grid, search=40, seed=1)
    assert set(other.frame["point"]) != set(first.frame["point"])
