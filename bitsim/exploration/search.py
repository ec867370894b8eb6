"""Spaces too large for a grid: a search for the points with the least of several columns (NSGA-II, by Optuna).

Assumptions
    - Points are asked for in generations of a fixed size and told back in the order asked, so that a seed leads to
      the same points on every engine, with any number of processes, and when a sweep is resumed.
    - A point that fails or meets no constraint is told as failed: the search learns nothing of it but to go elsewhere.
    - The values of a parameter are taken as categories; their order says nothing to NSGA-II's crossover and mutation.
    - One search a trace: costs on different traces do not compete.

Source: K. Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II, IEEE TEC 6 (2), 2002.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from bitsim.errors import InputError
from bitsim.exploration.campaign import Campaign
from bitsim.exploration.space import Point

GENERATION = 32
# A search that meets only points it knows is done, though it cannot prove that there are no others.
IDLE_GENERATIONS = 50


def explore(campaign: Campaign, count: int, minimise: Sequence[str], seed: int) -> None:
    """Simulate up to `count` different points of the campaign's space, those a search for least `minimise` asks for.

    Raises InputError if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("--search: Optuna is not installed: pip install 'bitsim-accel[search]'") from None

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    traces = len(campaign.space.traces)
    for trace in range(traces):
        share = count * (trace + 1) // traces - count * trace // traces
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=seed)
            study = optuna.create_study(directions=["minimize"] * len(minimise), sampler=sampler)
            _search(campaign, study, trace, share, minimise, count)


def _search(campaign: Campaign, study: Any, trace: int, share: int, minimise: Sequence[str], count: int) -> None:
    """Generations until `share` points of a trace are known."""
    from optuna.trial import TrialState

    seen: dict[int, Point] = {}
    whole = _points_of_trace(campaign)
    idle = 0
    while len(seen) < min(share, whole) and idle < IDLE_GENERATIONS:
        asked = [study.ask() for _ in range(GENERATION)]
        points = [_suggested(campaign, trial, trace) for trial in asked]
        new = {point.index: point for point in points if point.index not in seen}
        new = dict(list(new.items())[: share - len(seen)])
        idle = 0 if new else idle + 1
        seen |= new
        campaign.simulate(new.values(), count)
        for trial, point in zip(asked, points, strict=True):
            record = campaign.records.get(point.index)
            if record is None:
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
        number = trial.suggest_categorical(f"{axis.machine}:{axis.key}", list(range(len(axis.values))))
        place = place * len(axis.values) + number
        overrides[axis.key] = axis.values[number]
    return space.point(trace * sum(sizes) + sum(sizes[:machine]) + place, trace, machine, overrides)
