"""A product that a layer table cannot hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unsupported:
    """where: line, or node and operator; what: why, and what is allowed; macs: forward, one sample, if known."""

    where: str
    what: str
    macs: int | None = None

    def __str__(self) -> str:
        count = "an unknown number of" if self.macs is None else f"{self.macs:,}"
        return f"{self.where}: {self.what} ({count} MACs)"
