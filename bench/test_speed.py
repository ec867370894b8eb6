"""Distributions of benchmarks inside a process, CPU time: ``pip install -e .[bench]``, then ``pytest bench``."""

import time

import pytest

from bench.benchmarks import published_search
from bench.design_points import TRAINING, new_points, price_points
from bench.engine_rates import TILES, TIMING, random_program
from bitsim.kernels.event import event_cycles
from bitsim.workload import FORWARD

POINTS = {
    "new_point_forward": (new_points, (FORWARD,)),
    "new_point_training": (new_points, TRAINING),
    "price_only_forward": (price_points, (FORWARD,)),
}


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", POINTS)
def test_design_point(benchmark, name):
    make, passes = POINTS[name]
    works = make(passes)
    cycles = benchmark.pedantic(
        lambda work: work(), setup=lambda: ((next(works),), {}), rounds=15, warmup_rounds=2, iterations=1
    )
    assert cycles > 0


@pytest.mark.benchmark(timer=time.process_time)
def test_published_search(benchmark):
    benchmark.pedantic(published_search, rounds=10, warmup_rounds=1)


@pytest.mark.benchmark(timer=time.process_time)
def test_event_recurrence(benchmark):
    program = random_program(TILES)
    assert len(benchmark.pedantic(event_cycles, args=(program, TIMING), rounds=10, warmup_rounds=1))
