"""How to measure: CPU seconds, least of several runs, so that other work on the machine counts as little as can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True)
class Usage:
    """What a process and those it waited for used."""

    cpu_s: float
    peak_mb: float


def least_cpu_s(work: Callable[[], object], runs: int = 5) -> float:
    """Least CPU seconds of `work`, after one warm-up."""
    work()
    return min(_cpu_s(work) for _ in range(runs))


def mean_least_cpu_s(works: Iterator[Callable[[], object]], different: int, rounds: int = 20) -> float:
    """Mean over `different` works of the least CPU seconds of each; `works` gives them in turn, again and again.

    Each is done once before.  Its runs lie a round apart, so that what else the machine does meets few of them; making
    works is not counted.
    """
    for work in islice(works, different):
        work()
    measured = [[_cpu_s(work) for work in islice(works, different)] for _ in range(rounds)]
    return sum(map(min, zip(*measured, strict=True))) / different


def _cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def three_digits(figure: float) -> str:
    """Three significant digits, thousands apart."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:#.3g}"


# Runs in a small process of its own: a child's peak begins at what its parent had, and a bench's process is large.
_LAUNCHER = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}))
"""


def usage(arguments: list[str], environment: Mapping[str, str] | None = None) -> Usage:
    """What `python arguments...` uses in a process of its own; `environment` is added to that of this one."""
    command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, sys.executable, *arguments]
    given = os.environ | dict(environment or {})
    return Usage(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=given).stdout))
