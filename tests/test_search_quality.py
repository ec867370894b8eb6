"""The search against the best of all mappings: all ceil-splits of every dimension times all loop orders."""

import pytest

from bench.search_quality import gaps


@pytest.mark.parametrize("machine, layers", [("bitfusion_16x32_192b", 10), ("eyeriss_12x14_108k", 4)])
def test_the_search_is_near_the_best_of_all_mappings(machine, layers):
    """A few random layers; `python -m bench --quality` has 200, and docs/performance.md what is missed there."""
    found = gaps(machine, layers, 501, energy=False)
    assert max(gap.mappings for gap in found) > 10_000
    assert all(0 <= gap.cycles < 0.02 for gap in found), found
