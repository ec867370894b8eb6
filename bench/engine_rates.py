"""Rates of the timing engines: tiles a second of the recurrence, layers a second of whole periods jumped."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bench.measure import least_cpu_s
from bench.random_layers import random_nests
from bitsim.kernels.collapsed import collapsed_cycles
from bitsim.kernels.event import event_cycles
from bitsim.kernels.program import PortTiming
from bitsim.kernels.stepped import NO_LOG, NO_STALLS, stepped_cycles

TILES, LAYERS = 200_000, 10_000
TIMING = PortTiming(40).array()


def random_program(tiles: int) -> np.ndarray:
    """A program of `tiles` tiles that reloads one operand each and accumulates now and then (seed 0)."""
    rng = np.random.default_rng(0)
    table = np.zeros((tiles, 7), np.int64)
    table[:, 0], table[:, 3], table[:, 4] = rng.integers(1, 200, (3, tiles))
    table[:, 5] = 49
    new = rng.random(tiles) < 0.7
    new[0] = True
    table[:, 6] = 1 + 4 * new + 8 * np.append(new[1:], True)
    table[0, 6] |= 2 + 16
    return table


@lru_cache(maxsize=1)
def event_s() -> float:
    """CPU seconds of the event recurrence over the random program."""
    program = random_program(TILES)
    return least_cpu_s(lambda: event_cycles(program, TIMING))


@lru_cache(maxsize=1)
def stepped_s() -> float:
    """CPU seconds of the per-cycle model over the same program."""
    program = random_program(TILES)
    return least_cpu_s(lambda: stepped_cycles(program, TIMING, NO_STALLS, NO_LOG), 3)


def event_mtiles_per_s() -> float:
    """Million tiles a second of the event recurrence."""
    return TILES / event_s() / 1e6


def stepped_mcycles_per_s() -> float:
    """Million cycles a second of the per-cycle model."""
    return float(event_cycles(random_program(TILES), TIMING).sum()) / stepped_s() / 1e6


def event_over_stepped() -> float:
    """How many times faster the event recurrence is than the per-cycle model on the same program."""
    return stepped_s() / event_s()


def collapsed_layers_per_s() -> float:
    """Random layers a second, whole periods jumped."""
    nests = random_nests(LAYERS, seed=0)
    return LAYERS / least_cpu_s(lambda: [collapsed_cycles(nest.rows, nest.runs, TIMING) for nest in nests], 3)
