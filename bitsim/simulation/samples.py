"""How samples of one batch that run a layer at different widths are run: the three policies.

Assumptions
    - batch-max: all samples together, each operand at its greatest width in the batch.
    - group: samples of equal widths together, group after group; weights are fetched again for each.
    - one-by-one: each sample alone.
    - Between groups (or samples) the sum of the weight gradients is read, added to and written at accumulator
      width: a row `wgrad_accumulate`, once fewer than there are groups, at the greatest widths of the batch.
"""

from __future__ import annotations

from dataclasses import replace

from bitsim.trace import BatchDemand, GroupDemand, SampleGroup

SAMPLE_POLICIES = BATCH_MAX, GROUP, ONE_BY_ONE = ("batch-max", "group", "one-by-one")


def of_batch(demand: BatchDemand, policy: str) -> SampleGroup | None:
    """What all samples run together, None where groups run by themselves."""
    return demand.whole if policy == BATCH_MAX else None


def of_group(demand: GroupDemand, policy: str) -> tuple[int, SampleGroup] | None:
    """(occurrences, what runs together) of one group of a batch; None where batches run whole."""
    if policy == BATCH_MAX:
        return None
    if policy == GROUP:
        return 1, demand.group
    return demand.group.samples, replace(demand.group, samples=1)


def accumulations(demand: BatchDemand, policy: str) -> tuple[int, SampleGroup]:
    """(read-modify-writes of the weight gradient in one iteration, the samples and widths they are sized by)."""
    if policy == BATCH_MAX:
        return 0, demand.whole
    if policy == GROUP:
        return demand.groups - 1, replace(demand.whole, samples=demand.largest)
    return demand.whole.samples - 1, replace(demand.whole, samples=1)
