"""What a trace asks of one layer: groups of samples with their widths, over ranges of iterations."""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.workload import Widths


@dataclass(frozen=True)
class SampleGroup:
    """Samples of one batch that run a layer at the same widths."""

    samples: int
    widths: Widths


@dataclass(frozen=True)
class Demand:
    """A distinct (layer, groups), the number of iterations it applies to, and the first of them."""

    layer_index: int
    groups: tuple[SampleGroup, ...]
    iterations: int
    first_start: int


@dataclass(frozen=True)
class Span:
    """One range of iterations of one layer; no groups: the layer did not run."""

    iteration_start: int
    iteration_end: int
    layer_index: int
    groups: tuple[SampleGroup, ...]
