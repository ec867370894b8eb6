"""The optimiser of a run: what a weight update reads and computes beside the weight gradient.

Assumptions
    - run.yaml's `optimizer` is free text or a mapping; what is looked for in it is `adam` (AdamW too), a momentum
      other than 0 (`nesterov` too), then `sgd`.  A run that says nothing is taken to use momentum.
    - Multiply-adds a weight: sgd w -= r·g one; momentum v = m·v + g as well, two; adam m = a·m + (1 - a)·g two,
      v = b·v + (1 - b)·g² three, the corrected quotient and its root, counted as two, and the step, one: eight.
      Weight decay is folded into the step's constants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bitsim.errors import InputError


@dataclass(frozen=True)
class Optimizer:
    """states: words kept for each weight beside its master copy; multiply_adds: operations a weight."""

    name: str
    states: int
    multiply_adds: int


OPTIMIZERS = {o.name: o for o in (Optimizer("sgd", 0, 1), Optimizer("momentum", 1, 2), Optimizer("adam", 2, 8))}
UNSAID = OPTIMIZERS["momentum"]


def optimizer_of(described: str | dict[str, Any] | None, where: str) -> Optimizer:
    """The optimiser that `described` names; `where` is its place, for the InputError if it names none known."""
    if described is None:
        return UNSAID
    text = str(described).lower()
    if "adam" in text:
        return OPTIMIZERS["adam"]
    momentum = re.search(r"momentum['\"]?\s*[:=]?\s*(\d*\.?\d+)", text)
    if (momentum and float(momentum[1])) or (not momentum and ("momentum" in text or "nesterov" in text)):
        return OPTIMIZERS["momentum"]
    if "sgd" in text:
        return OPTIMIZERS["sgd"]
    raise InputError(
        f"{where}: optimizer: {described!r} is none whose states are known, allowed for --passes update: "
        f"a text with {', '.join(OPTIMIZERS)} in it"
    )
