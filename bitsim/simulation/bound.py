"""What bounds a pass: issue, memory, latency or fill, and the numbers that say so.

Assumption: `compute` if issue is the largest share of cycles; `fill` if fill, hazard, switch and set-up are;
else the port is waited for: `memory` if it moves beats in at least half of all cycles, `latency` if not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WAITS = ("wait_load", "wait_store")
FILL = ("fill_drain", "hazard", "switch", "setup")


@dataclass(frozen=True)
class Bound:
    """Shares of the cycles of a pass.  port_beats: cycles in which the port moves data."""

    issue_cycles: int
    wait_cycles: int
    fill_cycles: int
    port_beats: int

    @classmethod
    def of(cls, classes: Mapping[str, int], port_beats: int) -> Bound:
        """The shares of cycles by class."""
        waits, fill = (sum(classes[name] for name in names) for names in (WAITS, FILL))
        return cls(classes["issue"], waits, fill, port_beats)

    @property
    def cycles(self) -> int:
        """All cycles."""
        return self.issue_cycles + self.wait_cycles + self.fill_cycles

    @property
    def name(self) -> str:
        """The column `bound`."""
        if self.issue_cycles >= max(self.wait_cycles, self.fill_cycles):
            return "compute"
        if self.fill_cycles > self.wait_cycles:
            return "fill"
        return "memory" if 2 * self.port_beats >= self.cycles else "latency"
