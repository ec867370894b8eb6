"""Errors a user can mend: what is wrong, where, and what is allowed.

Anything raised from here ends a command with exit status 2 and without a traceback.
All faults of one file are collected and raised together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """One or more faults in what the user gave; each reads ``file:line: what is wrong, what is allowed``."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class MappingError(InputError):
    """A layer has no tile that fits the machine; the fault names the buffer and the least size."""


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Say that `key` is unknown and name the nearest known key, or all of them."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
    return f"{key}: unknown key, {hint}"
