"""Spaces too large for a grid: a search for the points with the least of several columns, by Optuna.

Assumptions
    - The sampler is the multi-objective tree-structured Parzen estimator, all parameters together; on spaces of
      thousands of points it needs fewer of them than NSGA-II does (tests/test_sweep_search.py holds it to random).
    - Values of a parameter are taken in the order given, so that neighbours in it are neighbours for the search.
    - Points are asked for in batches of a fixed size and told back in the order asked, so that a seed leads to the
      same points on every engine, with any number of processes, and when a sweep is resumed.
    - A point that fails or meets no constraint is told as failed: the search learns nothing of it but to go elsewhere.
    - One search a trace: costs on different traces do not compete.

Source: Y. Ozaki et al., Multiobjective tree-structured Parzen estimator, JAIR 73, 2022.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from bitsim.errors import InputError
from bitsim.exploration.campaign import Campaign
from bitsim.exploration.space import Point

BATCH = 8
AT_RANDOM = 32  # points before the sampler models any
# A search that meets only points it knows is done, though it cannot prove that there are no others.
IDLE_BATCHES = 50


def explore(campaign: Campaign, count: int, minimise: Sequence[str], seed: int) -> None:
    """Simulate up to `count` different points of the campaign's space, those a search for least `minimise` asks for.

    Raises InputError if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("--search: Optuna is not installed: pip install 'bitsim-accel[search]'") from None

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    traces, several = len(campaign.space.traces), len(campaign.space.machines) > 1
    for trace in range(traces):
        share = count * (trace + 1) // traces - count * trace // traces
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=AT_RANDOM, multivariate=True, group=several, constant_liar=True
            )
            study = optuna.create_study(directions=["minimize"] * len(minimise), sampler=sampler)
            _search(campaign, study, trace, share, minimise, count)


def _search(campaign: Campaign, study: Any, trace: int, share: int, minimise: Sequence[str], count: int) -> None:
    """Batches until `share` points of a trace are known."""
    from optuna.trial import TrialState

    seen: dict[int, Point] = {}
    whole = _points_of_trace(campaign)
    idle = 0
    while len(seen) < min(share, whole) and idle < IDLE_BATCHES:
        asked = [study.ask() for _ in range(BATCH)]
        points = [_suggested(campaign, trial, trace) for trial in asked]
        new = {point.index: point for point in points if point.index not in seen}
        new = dict(list(new.items())[: share - len(seen)])
        idle = 0 if new else idle + 1
        seen |= new
        campaign.simulate(new.values(), count)
        for trial, point in zip(asked, points, strict=True):
            record = campaign.records.get(point.index)
            if record is None or any(record[name] is None for name in minimise):
                study.tell(trial, state=TrialState.FAIL)
            else:
                study.tell(trial, [float(record[name]) for name in minimise])


def _points_of_trace(campaign: Campaign) -> int:
    return len(campaign.space) // len(campaign.space.traces)


def _suggested(campaign: Campaign, trial: Any, trace: int) -> Point:
    """The point a trial stands for; its index is that of the grid."""
    space = campaign.space
    names = [machine.name for machine in space.machines]
    machine = names.index(trial.suggest_categorical("hardware", names)) if len(names) > 1 else 0
    source = space.machines[machine]
    sizes = [math.prod(len(axis.values) for axis in space.axes_of(one)) for one in space.machines]
    place, overrides = 0, {}
    for axis in space.axes_of(source):
        number = trial.suggest_int(f"{axis.machine}:{axis.key}", 0, len(axis.values) - 1)
        place = place * len(axis.values) + number
        overrides[axis.key] = axis.values[number]
    return space.point(trace * sum(sizes) + sum(sizes[:machine]) + place, trace, machine, overrides)
