"""A plan: which bits run in which iterations, before any network's layers are looked at.

Assumption: what a plan does not quantise runs in float unless it says otherwise: the layers a network names so (its
classifier) and, where gates decide, every layer outside the gated blocks (FracTrain, NeurIPS 2020, Sec. 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bitsim.schedules import FLOAT, Bits
from bitsim.workload import Layer


@dataclass(frozen=True)
class Phase:
    """Iterations [start, end) in which nothing changes: bits of groups of samples; None: the whole batch."""

    start: int
    end: int
    groups: tuple[tuple[int | None, Bits], ...]


@dataclass(frozen=True)
class Plan:
    """Phases that follow each other from iteration 0.

    described: the schedule in words.  gated: only gate groups are quantised.  table: {layer: {column: bits}}, in
    place of the bits of the phases.  notes: what the user should know.  losses: of each epoch, where they were given.
    rest: bits of layers that are not quantised.
    """

    phases: tuple[Phase, ...]
    described: str
    gated: bool = False
    table: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    losses: tuple[float, ...] = ()
    rest: Bits = FLOAT

    def rows(self, layers: Sequence[Layer], float_layers: frozenset[str]) -> Iterator[dict[str, Any]]:
        """Rows of precision.csv, phase by phase, in layer order."""
        for phase in self.phases:
            place = {"iteration_start": phase.start, "iteration_end": phase.end}
            if self.table:
                yield from ({**place, "layer": name, **cells} for name, cells in self.table.items())
                continue
            for name, quantised in self._subjects(layers, float_layers):
                for samples, bits in phase.groups if quantised else ((None, self.rest),):
                    cells = {"layer": name, "samples": "" if samples is None else samples}
                    yield place | cells | {k: v for k, v in bits._asdict().items() if v is not None}

    def _subjects(self, layers: Sequence[Layer], float_layers: frozenset[str]) -> list[tuple[str, bool]]:
        """(layer or gate, whether it is quantised), each once."""
        if not self.gated:
            return [(layer.name, layer.name not in float_layers) for layer in layers]
        names = [(f"gate:{x.gate_group}", True) if x.gate_group else (x.name, False) for x in layers]
        return list(dict.fromkeys(names))


def stage_phases(
    starts: Sequence[int], iterations: int, stages: Sequence[Sequence[tuple[int | None, Bits]]]
) -> tuple[Phase, ...]:
    """Phases that begin at `starts`; stages beyond them are never reached."""
    ends = [*starts[1:], iterations]
    return tuple(
        Phase(start, end, tuple(groups))
        for start, end, groups in zip(starts, ends, stages, strict=False)
        if start < end
    )
