"""The optimiser of a run: what a weight update reads and computes beside the weight gradient.

Assumptions
    - run.yaml's `optimizer` is a text or a mapping.  A run that says nothing is taken to use momentum.
    - A text is read by words: `adam` (AdamW and its kin too) or `sgd`, not both; then `momentum` or `nesterov`, which
      also stand for SGD where one is the first word.  A word counts unless the same clause denies it before (no,
      without, not, 0, ...) or a value right behind it does (0, none, false, ...); such a value outranks the clause.
    - A mapping is read by keys: its name by the rules of a text, `momentum` and `nesterov` by their values; what has
      one of these and no name is SGD.  The name says whether there is momentum only where no key `momentum` does.
      Other keys are not looked at.
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

NAME_KEYS = ("name", "type", "optimizer")
MOMENTUM_KEYS = ("momentum", "nesterov")
_ALLOWED = (
    f"--passes update: a text with one of {', '.join(OPTIMIZERS)} in it, or a mapping with that text under "
    f"{' or '.join(NAME_KEYS)} and numbers or true, false, null under {' and '.join(MOMENTUM_KEYS)}"
)
_SGD, _ADAM = r"\bsgd\b|gradient descent", r"[a-z]*adam[a-z]*"
_MOMENTUM = "|".join(MOMENTUM_KEYS)
_CLAUSE_ENDS = r"[,;()]|\. |\bbut\b|\bwith\b"
_DENYING = r"\b(?:no|not|non|without|zero|neither|nor|never|instead|than)\b|(?<![\d.])0(?:\.0*)?\s*$"
_NUMBER = re.compile(r"(?:[\s:='\"(]|\b(?:of|is|to|set|factor|coefficient)\b)*(\d*\.?\d+)")
_OFF = re.compile(r"(?:[\s:='\"(]|\bis\b)*(?:none|null|false|off|free|less|not|zero|unused|disabled|no\s*(?:[,;)]|$))")


def optimizer_of(described: str | dict[str, Any] | None, where: str) -> Optimizer:
    """The optimiser that `described` names; `where` is its place, for the InputError if it names none known."""
    if described is None:
        return UNSAID
    keys = {key.lower(): value for key, value in described.items()} if isinstance(described, dict) else {}
    told = {key: _is_on(keys[key]) for key in MOMENTUM_KEYS if key in keys}
    named = [str(keys[key]) for key in NAME_KEYS if key in keys]
    text = ", ".join(named) if keys else described if isinstance(described, str) else ""
    text = text.lower().replace("w/o", "without").replace("_", " ").replace("-", " ")
    sgd, adam = _says(text, _SGD), _says(text, _ADAM)
    sgd |= bool(not adam and re.match(_MOMENTUM, text.strip())) or bool(told and not named)
    if sgd == adam or None in told.values():
        raise InputError(f"{where}: optimizer: {described!r} is none whose states are known, allowed for {_ALLOWED}")
    if adam:
        return OPTIMIZERS["adam"]
    momentum = any(told.values()) or ("momentum" not in told and _says(text, _MOMENTUM))
    return OPTIMIZERS["momentum" if momentum else "sgd"]


def _says(text: str, pattern: str) -> bool:
    """Whether a word of `pattern` stands in `text` undenied."""
    return any(not _denied(text, found) for found in re.finditer(pattern, text))


def _denied(text: str, word: re.Match[str]) -> bool:
    if word[0] in MOMENTUM_KEYS:
        if number := _NUMBER.match(text, word.end()):
            return float(number[1]) == 0
        if _OFF.match(text, word.end()):
            return True
    return bool(re.search(_DENYING, re.split(_CLAUSE_ENDS, text[: word.start()])[-1]))


def _is_on(value: Any) -> bool | None:
    """Whether a value of `momentum` or `nesterov` asks for it; None if it cannot be told."""
    if value is None or isinstance(value, bool | int | float):
        return bool(value)
    text = str(value).strip().lower()
    if text in ("none", "null", "false", "off", "no", "true", "on", "yes"):
        return text in ("true", "on", "yes")
    return float(text) != 0 if re.fullmatch(r"\d*\.?\d+", text) else None
