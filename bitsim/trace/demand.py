"""What a trace asks of one layer: groups of samples with their widths, over ranges of iterations.

The histograms of per-sample precision hardly ever repeat; what any policy of running them costs follows from
their marginals, `GroupDemand` and `BatchDemand`, of which there are few.
"""

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
class GroupDemand:
    """A distinct (layer, group of a histogram), the number of iterations with it, and the first of them."""

    layer_index: int
    group: SampleGroup
    iterations: int
    first_start: int


@dataclass(frozen=True)
class BatchDemand:
    """A distinct way a batch runs a layer, seen as a whole; iterations, first_start: as of a GroupDemand.

    whole: all samples at the greatest of each width; groups: in the histogram.
    """

    layer_index: int
    whole: SampleGroup
    groups: int
    iterations: int
    first_start: int


@dataclass(frozen=True)
class Span:
    """One range of iterations of one layer; no groups: the layer did not run."""

    iteration_start: int
    iteration_end: int
    layer_index: int
    groups: tuple[SampleGroup, ...]
