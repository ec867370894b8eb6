"""How samples of one batch that run a layer at different widths are run: the three policies.

Assumptions
    - batch-max: all samples together, each operand at its greatest width in the batch.
    - group: samples of equal widths together, group after group; weights are fetched again for each.
    - one-by-one: each sample alone.
    - Each group (or sample) writes its own weight gradient, at the accumulator width its own products need.  Their sum
      has the width that all products of the batch need, as where they run together.
    - The sum starts with the narrowest weight gradient, as that was written.  Every other is added by a row
      `wgrad_accumulate`: it reads the sum so far and the weight gradient, each at the width it was written at, and
      writes the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from bitsim.trace import BatchDemand, GroupDemand, SampleGroup

SAMPLE_POLICIES = BATCH_MAX, GROUP, ONE_BY_ONE = ("batch-max", "group", "one-by-one")


def of_batch(whole: SampleGroup, policy: str) -> SampleGroup | None:
    """What all samples run together, None where groups run by themselves."""
    return whole if policy == BATCH_MAX else None


def of_group(demand: GroupDemand, policy: str) -> tuple[int, SampleGroup] | None:
    """(occurrences, what runs together) of one group of a batch; None where batches run whole."""
    if policy == BATCH_MAX:
        return None
    if policy == GROUP:
        return 1, demand.group
    return demand.group.samples, replace(demand.group, samples=1)


def weight_gradients(demand: BatchDemand, policy: str) -> int:
    """Weight gradients of a layer that are written in one iteration and must be summed; 0 where batches run whole."""
    return {BATCH_MAX: 0, GROUP: demand.groups, ONE_BY_ONE: demand.whole.samples}[policy]


def accumulations(partials: Mapping[int, int], sum_bits: int) -> dict[tuple[int, int], int]:
    """{(bits of the sum as read, of the weight gradient added): times}: the read-modify-writes of one iteration.

    partials: {bits: weight gradients written at that width}; sum_bits: width the sum is written at.
    """
    times: Counter[tuple[int, int]] = Counter()
    so_far = 0  # bits of the sum as it was last written; 0: nothing was
    for bits, count in sorted(partials.items()):
        added = count if so_far else count - 1
        so_far = so_far or bits
        if added:
            times[so_far, bits] += 1
            times[sum_bits, bits] += added - 1
            so_far = sum_bits
    return dict(+times)
