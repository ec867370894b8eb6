"""The timing diagrams of docs/microarchitecture.md are what the per-cycle model does."""

from pathlib import Path

import numpy as np
import pytest

from bitsim.kernels.program import CLASSES, LOAD_INPUT, LOAD_WEIGHT, NEW_OUTPUT, STORE, SWITCH, PortTiming
from bitsim.kernels.stepped import NO_STALLS, stepped_cycles

PAGE = Path(__file__).parents[1] / "docs" / "microarchitecture.md"
LATENCY = 2
TIMING = PortTiming(LATENCY, turnaround_cycles=0, setup_cycles=1, reconfigure_cycles=0)
LETTERS = dict(
    zip(("issue", "fill_drain", "wait_load", "wait_store", "hazard", "switch", "setup"), "Idlshxu", strict=True)
)
VISIT = NEW_OUTPUT | STORE
FIRST = [2, 1, 0, 2, 5, 4, LOAD_INPUT | LOAD_WEIGHT | VISIT | SWITCH]
# (tiles, transfers in program order)
PROGRAMS = {
    "one tile": ([FIRST], "LS"),
    "two tiles": ([FIRST, [2, 1, 0, 2, 5, 4, LOAD_INPUT | LOAD_WEIGHT | VISIT]], "LLSS"),
    "a store meets a load": (
        [
            [*FIRST[:3], 3, *FIRST[4:]],
            [2, 0, 0, 3, 5, 4, LOAD_INPUT | VISIT],
            [2, 0, 2, 3, 5, 4, LOAD_INPUT | VISIT],
        ],
        "LLSLSS",
    ),
}


def draw(tiles, transfers):
    """The diagram of a program: cycles, what the port does, what the sequencer does."""
    log = np.full((200, 5), -1, np.int64)
    count = stepped_cycles(np.array(tiles), TIMING.array(), NO_STALLS, log).sum()
    kinds, busy, finished = log[:count, 0], log[:count, 2], log[:count, 3]
    port = [" "] * count
    for t in range(count):
        if busy[t]:
            port[t] = transfers[finished[t]]
            if not busy[t - 1]:
                port[t - 1] = "g"
    for t in range(count - 1):
        if port[t] == "L" and port[t + 1] != "L":
            for later in range(t + 1, t + 1 + LATENCY):
                port[later] = "." if port[later] == " " else port[later]
    tens = "".join(str(t // 10) if t % 10 == 0 else " " for t in range(count))
    rows = {
        "cycle": tens,
        "": "".join(str(t % 10) for t in range(count)),
        "port": "".join(port),
        "sequencer": "".join(LETTERS[CLASSES[kind]] for kind in kinds),
    }
    return "\n".join(f"{name:<11}{row}".rstrip() for name, row in rows.items())


@pytest.mark.parametrize("name", PROGRAMS)
def test_diagram(name):
    assert draw(*PROGRAMS[name]) in PAGE.read_text(encoding="utf-8")
