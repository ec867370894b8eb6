"""YAML read strictly: duplicate keys, tags, anchors and odd scalars are errors with file and line.

Scalars follow the YAML 1.2 core schema: 1e-3 is a number, `no` a string, only true and false are booleans.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bitsim.errors import InputError

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_FAULTS = 20
_TAG = "tag:yaml.org,2002:"
# The YAML 1.2 core schema: (type, pattern, first characters).
_SCALARS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+0123456789."),
)


@dataclass(frozen=True)
class Document:
    """A parsed file: its data, on which line each key path stands, and its text."""

    path: Path
    data: dict[str, Any]
    lines: dict[str, int] = field(repr=False)
    text: str = field(repr=False)

    def line(self, key_path: str) -> int:
        """Line of a dotted key path, or of its nearest parent; 1 if there is none."""
        while key_path and key_path not in self.lines:
            key_path = key_path.rpartition(".")[0]
        return self.lines.get(key_path, 1)


class _Loader(yaml.SafeLoader):
    """Scalar rules of YAML 1.2 in place of PyYAML's 1.1; no anchors, aliases, tags or deep nests."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012  (PyYAML's own class attribute, made fresh)

    def __init__(self, text: str, path: Path) -> None:
        super().__init__(text)
        self.path, self.depth = path, 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse what is not allowed before the parser recurses into it."""
        event = self.peek_event()
        where = f"{self.path}:{event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InputError(f"{where}: anchors and aliases are not allowed: write the value out")
        if getattr(event, "tag", None):
            raise InputError(f"{where}: tag {event.tag} is not allowed: plain values only")
        if self.depth > MAX_DEPTH:
            raise InputError(f"{where}: nested too deeply, allowed {MAX_DEPTH} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would take for something else."""


for _kind, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(_pattern), list(_first))
    _Dumper.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(_pattern), list(_first))


def raise_faults(path: Path | str, faults: Sequence[str], count: int | None = None) -> None:
    """Raise InputError if there are faults: the first of them, and how many more there are.

    count: all of them, where `faults` are only the first.
    """
    if faults:
        rest = (len(faults) if count is None else count) - MAX_FAULTS
        raise InputError([*faults[:MAX_FAULTS], *([f"{path}: and {rest} more"] if rest > 0 else [])])


def load(path: Path) -> Document:
    """Read one strict YAML file whose top level is a mapping.

    Raises InputError ``path:line: what is wrong, what is allowed`` for anything else.
    """
    try:
        text = read_text(path)
        node = _Loader(text, path).get_single_node()
    except yaml.reader.ReaderError as error:
        raise InputError(f"{path}:1: not YAML: character U+{error.character:04X} is not allowed") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not readable"
        raise InputError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {problem}") from None
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}:1: must be a mapping of keys to values, e.g. schema: 1")
    lines: dict[str, int] = {}
    faults: list[str] = []
    data = _value(path, node, "", lines, faults)
    raise_faults(path, faults)
    return Document(path, data, lines, text)


def dump(data: Mapping[str, Any]) -> str:
    """A mapping as YAML text that `load` reads back equal; nested values stand on their key's line."""
    return "".join(
        yaml.dump(
            {key: value},
            Dumper=_Dumper,
            allow_unicode=True,
            default_flow_style=None if isinstance(value, list | dict) else False,
            width=110,
        )
        for key, value in data.items()
    )


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Content of a file; InputError if it is missing, not a regular file, or larger than `max_bytes`."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}:1: is a {'folder' if path.is_dir() else 'device or pipe'}, allowed: a file")
        size = path.stat().st_size
        if size > max_bytes:
            raise InputError(f"{path}:1: {size} bytes, allowed up to {max_bytes}")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}:1: cannot be read: {error.strerror}") from None


def decode(path: Path, raw: bytes, first_line: int = 1) -> str:
    """UTF-8 text of `raw`, from `first_line` of its file on; InputError if it is binary or otherwise encoded."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + first_line
        raise InputError(f"{path}:{line}: not UTF-8 text") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + first_line
        raise InputError(f"{path}:{line}: binary file, allowed: UTF-8 text")
    return text


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """A text file as UTF-8; InputError for one that is missing, empty, too large, binary or otherwise encoded."""
    text = decode(path, read_bytes(path, max_bytes))
    if not text.strip():
        raise InputError(f"{path}:1: empty file")
    return text


def _value(path: Path, node: Any, prefix: str, lines: dict[str, int], faults: list[str]) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(path, item, prefix, lines, faults) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return _scalar(path, node, faults)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
            faults.append(f"{path}:{line}: a key must be a word")
            continue
        key = key_node.value
        full = f"{prefix}.{key}" if prefix else key
        if key in result:
            faults.append(f"{path}:{line}: {full}: duplicate key, first on line {lines[full]}")
            continue
        lines[full] = line
        result[key] = _value(path, value_node, full, lines, faults)
    return result


def _scalar(path: Path, node: Any, faults: list[str]) -> Any:
    where, kind, text = f"{path}:{node.start_mark.line + 1}", node.tag.removeprefix(_TAG), node.value
    if kind == "bool":
        return text.lower() == "true"
    if kind == "null":
        return None
    if kind in ("int", "float") and len(text) > 40:
        faults.append(f"{where}: {text[:20]}...: a number of {len(text)} characters, allowed 40")
        return None
    if kind == "int":
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float":
        number = float(text)
        if math.isinf(number):
            faults.append(f"{where}: {text}: too large a number, allowed up to 1.8e308")
        return number
    if any(ord(c) == 0 or 0xD800 <= ord(c) < 0xE000 for c in text):  # only through escapes such as "\0"
        faults.append(f"{where}: a text with a character that is not allowed: NUL or half a surrogate pair")
    return text
