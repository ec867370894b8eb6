"""What searches found, kept for machines to come that differ in nothing it depends on.

A search asks a machine for three things, and each is kept by what it depends on:
    - structure (array, widths, storage, networks, ...): tilings and what they need of each buffer;
    - also the tilings that fit, the port's rate and its times: the shortlist, timed;
    - also prices and objective: the choice, made anew each time, as it is quick.
So a price is never a reason to map or time again, nor is a buffer that fits the same tilings as another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

# Of one structure: {(what, product, datapath, ...): value}.
Found = dict[Hashable, Any]
Value = TypeVar("Value")


class SearchMemo:
    """Findings of the structure asked for last; those of another are forgotten, so that memory stays bounded."""

    def __init__(self, most: int = 100_000) -> None:
        """most: findings kept of one structure; beyond it all are forgotten."""
        self._structure: str | None = None
        self._found: Found = {}
        self._most = most

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
