"""A second per-cycle model, of someone who knew only docs/microarchitecture.md, against the reference."""

import numpy as np

from bitsim.kernels import program
from bitsim.kernels.program import CLASSES, FLAGS
from bitsim.kernels.stepped import stepped_cycles
from tests.page_model import run
from tests.strategies import LOAD, REDUCE, random_program

NUMBERS = ("input_beats", "weight_beats", "psum_beats", "store_beats", "issue", "drain")
FLAG_NAMES = ("load_input", "load_weight", "new_output", "store", "switch", "fence")


def as_page_has_it(tile):
    """A row of the tile table in the page's words."""
    numbers = {name: int(tile[getattr(program, name.upper())]) for name in NUMBERS}
    return numbers | {name: bool(tile[FLAGS] & getattr(program, name.upper())) for name in FLAG_NAMES}


def test_equals_the_reference_every_cycle():
    rng = np.random.default_rng(18)
    for number in range(1200):
        scale, reduce_p, load_p = int(rng.choice([1, 3, 20])), rng.choice(REDUCE), rng.choice(LOAD)
        tiles, timing = random_program(rng, int(rng.integers(1, 12)), scale, reduce_p, load_p)
        refused = () if rng.random() < 0.5 else (0, *(int(r) for r in rng.random(int(rng.integers(1, 6))) < 0.5))
        log = np.full((20_000, 5), -1, np.int64)
        classes = stepped_cycles(tiles, timing.array(), np.array(refused, np.uint8), log)
        constants = (timing.latency_cycles, timing.turnaround_cycles, timing.setup_cycles, timing.reconfigure_cycles)
        counts, entries = run([as_page_has_it(tile) for tile in tiles], *constants, refused)
        assert [counts[name] for name in CLASSES] == classes.tolist(), number
        ours = [(CLASSES[kind], *state) for kind, *state in log[: classes.sum()].tolist()]
        if timing.setup_cycles == 0:
            # A tile that takes no cycle is passed within one: before it, or after it, is not said.
            ours, entries = ([(kind, busy, ended) for kind, _, busy, ended, _ in rows] for rows in (ours, entries))
        assert entries == ours, number
