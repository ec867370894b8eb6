"""A tile program: what the sequencer of any machine runs, one row a tile, integers only.

Nothing here knows which accelerator or layer it came from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Columns of the tile table.
INPUT_BEATS, WEIGHT_BEATS, PSUM_BEATS, STORE_BEATS, ISSUE, DRAIN, FLAGS = range(7)
COLUMNS = 7

# Flags of a tile. A load may take zero beats of data (nothing real in the tile) yet still turn its half over.
LOAD_INPUT, LOAD_WEIGHT, NEW_OUTPUT, STORE, SWITCH = 1, 2, 4, 8, 16

# Cycle classes, in the order both engines return them.
CLASSES = ("issue", "fill_drain", "wait_load", "wait_store", "hazard", "switch", "setup")
C_ISSUE, C_FILL_DRAIN, C_WAIT_LOAD, C_WAIT_STORE, C_HAZARD, C_SWITCH, C_SETUP = range(7)


@dataclass(frozen=True)
class PortTiming:
    """Machine constants of the recurrence, in cycles."""

    latency_cycles: int = 0
    turnaround_cycles: int = 0
    setup_cycles: int = 1
    reconfigure_cycles: int = 0

    def array(self) -> np.ndarray:
        """(4,) int64 for the kernels."""
        return np.array(
            [self.latency_cycles, self.turnaround_cycles, self.setup_cycles, self.reconfigure_cycles], np.int64
        )
