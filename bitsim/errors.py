"""Errors a user can mend: what is wrong, where, and what is allowed.

Anything raised from here ends a command with exit status 2 and without a traceback.
All faults of one file are collected and raised together.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_SAID = 300  # characters of a value or a word in a fault
MOST_OF_FAULT = 3000  # of a fault: the longest lists of what is allowed have 2,100


class InputError(ValueError):
    """One or more faults in what the user gave; each reads ``file:line: what is wrong, what is allowed``."""

    def __init__(self, faults: str | Iterable[str]) -> None:
        listed = (faults,) if isinstance(faults, str) else faults
        self.faults: tuple[str, ...] = tuple(dict.fromkeys(_one_line(fault) for fault in listed))
        super().__init__("\n".join(self.faults))


class MappingError(InputError):
    """A layer has no tile that fits the machine; the fault names the buffer and the least size."""


def shortened(text: str, most: int = MOST_SAID) -> str:
    """A text of up to `most` characters: a longer one without its middle."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def _one_line(fault: str) -> str:
    """What a user wrote may hold line ends or terminal codes, shown as escapes, and be of any length."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in fault)
    words = re.sub(rf"\S{{{MOST_SAID + 1},}}", lambda word: shortened(word[0]), shown)
    return words if len(words) <= MOST_OF_FAULT else shortened(words, 2 * MOST_SAID)


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Say that `key` is unknown and name the nearest known key, or all of them."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
    return f"{key}: unknown key, {hint}"


def refusal(item: Mapping[str, Any], keys: Sequence[str] = ()) -> str:
    """What is wrong with a value that pydantic refused, and what is allowed.

    item: one of ``ValidationError.errors()``; keys: of the section the value should have been, if one.
    """
    given, kind, context = item["input"], item["type"], item.get("ctx", {})
    said = shortened(repr(given))
    if kind == "missing":
        return "missing key"
    if kind == "value_error":
        message = str(item["msg"]).removeprefix("Value error, ")
        return f"no value, {message.partition(': ')[2]}" if given is None else message.replace(repr(given), said)
    if keys:
        return f"{'no value' if given is None else f'{said} is not a section'}, allowed: {', '.join(keys)}"
    allowed = _allowed(kind, context) or str(item["msg"])
    return f"no value, allowed: {allowed}" if given is None else f"{said}: allowed: {allowed}"


def _allowed(kind: str, context: Mapping[str, Any]) -> str | None:
    """What is allowed in place of a value refused with pydantic's error type `kind`; None: that has no words here."""
    whole, number, mapping = "a whole number", "a number", "a mapping of keys to values"
    return {
        "literal_error": str(context.get("expected")),
        "greater_than_equal": f"{context.get('ge')} or more",
        "less_than_equal": f"{context.get('le')} or less",
        "greater_than": f"more than {context.get('gt')}",
        "less_than": f"less than {context.get('lt')}",
        "int_type": whole,
        "int_from_float": whole,
        "int_parsing": whole,
        "int_parsing_size": whole,
        "float_type": number,
        "float_parsing": number,
        "finite_number": "a finite number",
        "string_type": "text",
        "string_too_short": "text that is not empty",
        "string_too_long": f"text of up to {context.get('max_length')} characters",
        "string_pattern_mismatch": f"text of the form {context.get('pattern')}",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "dict_type": mapping,
        "model_type": mapping,
        "dataclass_type": mapping,
        "list_type": "a list",
        "tuple_type": "a list",
        "too_short": f"{context.get('min_length')} or more in the list",
        "too_long": f"up to {context.get('max_length')} in the list",
    }.get(kind)
