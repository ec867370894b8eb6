"""What searches found, kept for machines to come that differ in nothing it depends on.

A shortlist of timed mappings depends on the structure of the machine (array, widths, storage, networks, port, ...) and
on the tilings that fit its buffers, not on prices or objective: the choice from it is made anew each time, as it is
quick.  So a price is never a reason to map or time again, nor is a buffer that fits the same tilings as another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")

MOST_SHORTLISTS = 10_000  # of about 25 KB each


@dataclass(frozen=True)
class Found:
    """What was found for machines of one structure, to be added to.

    of_tilings: {(product, datapath, orientation, tilings that fit): shortlist}, whatever the sizes of buffers are.
    of_sizes: {(product, datapath): shortlists}, of the sizes asked for last: no tiling is held to them again.
    """

    of_tilings: dict[Hashable, Any] = field(default_factory=dict)
    of_sizes: dict[Hashable, Any] = field(default_factory=dict)


class SearchMemo:
    """Findings of the structure asked for last; those of another are forgotten, so that memory stays bounded."""

    def __init__(self, most: int = MOST_SHORTLISTS) -> None:
        """most: shortlists kept of one structure; beyond it all are forgotten."""
        self._structure: str | None = None
        self._sizes: tuple[int, ...] | None = None
        self._found = Found()
        self._most = most

    def __len__(self) -> int:
        """Shortlists kept."""
        return len(self._found.of_tilings)

    def of(self, structure: str, sizes: tuple[int, ...]) -> Found:
        """What was found for machines of `structure`; sizes: bits of their buffers."""
        if structure != self._structure or len(self) > self._most:
            self._structure, self._sizes, self._found = structure, sizes, Found()
        elif sizes != self._sizes:
            self._sizes, self._found = sizes, Found(self._found.of_tilings)
        return self._found


def kept(found: dict[Hashable, Any], key: Hashable, make: Callable[[], Value]) -> Value:
    """The value of `key`, never None, made once; what fails to be made is not kept."""
    value: Value | None = found.get(key)  # hashing a product takes longer than all else here
    if value is None:
        value = found[key] = make()
    return value
