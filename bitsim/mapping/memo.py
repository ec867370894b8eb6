"""What searches found, kept for machines to come that differ in nothing it depends on.

A shortlist of timed mappings depends on the structure of the machine (array, widths, storage, networks, port, ...) and
on the tilings that fit its buffers, not on prices or objective: the choice from it is made anew each time, as it is
quick.  So a price is never a reason to map or time again, nor is a buffer that fits the same tilings as another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

# Of one structure: {(product, datapath, orientation, tilings that fit): shortlist}.
Found = dict[Hashable, Any]
Value = TypeVar("Value")


MOST_SHORTLISTS = 10_000  # of about 25 KB each


class SearchMemo:
    """Findings of the structure asked for last; those of another are forgotten, so that memory stays bounded."""

    def __init__(self, most: int = MOST_SHORTLISTS) -> None:
        """most: shortlists kept of one structure; beyond it all are forgotten."""
        self._structure: str | None = None
        self._found: Found = {}
        self._most = most

    def __len__(self) -> int:
        """Shortlists kept."""
        return len(self._found)

    def of(self, structure: str) -> Found:
        """What was found for machines of `structure`, to be added to."""
        if structure != self._structure or len(self._found) > self._most:
            self._structure, self._found = structure, {}
        return self._found


def kept(found: Found, key: Hashable, make: Callable[[], Value]) -> Value:
    """The value of `key`, made once; what fails to be made is not kept."""
    if key not in found:
        found[key] = make()
    value: Value = found[key]
    return value
