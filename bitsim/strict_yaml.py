"""YAML read strictly: duplicate keys, tags, anchors and odd scalars are errors with file and line.

Scalars follow the YAML 1.2 core schema: 1e-3 is a number, `no` a string, only true and false are booleans.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bitsim.errors import InputError

MAX_BYTES = 2**20
MAX_DEPTH = 32
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Document:
    """A parsed file: its data, and on which line each key path stands."""

    path: Path
    data: dict[str, Any]
    lines: dict[str, int] = field(repr=False)

    def line(self, key_path: str) -> int:
        """Line of a dotted key path, or of its nearest parent; 1 if there is none."""
        while key_path and key_path not in self.lines:
            key_path = key_path.rpartition(".")[0]
        return self.lines.get(key_path, 1)


class _Loader(yaml.SafeLoader):
    """Scalar rules of YAML 1.2 in place of PyYAML's 1.1."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012  (PyYAML's own class attribute, made fresh)


_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    f"{_TAG}int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$"),
    list("-+0123456789."),
)


def load(path: Path) -> Document:
    """Read one strict YAML file whose top level is a mapping.

    Raises InputError ``path:line: what is wrong, what is allowed`` for anything else.
    """
    text = read_text(path)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            _refuse(path, event)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "not readable"
        raise InputError(f"{path}:{line}: not YAML: {problem}") from None
    except RecursionError:
        raise InputError(f"{path}:1: nested too deeply, allowed {MAX_DEPTH} levels") from None
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"{path}:1: must be a mapping of keys to values, e.g. schema: 1")
    lines: dict[str, int] = {}
    faults: list[str] = []
    data = _value(path, node, "", lines, faults, 0)
    if faults:
        raise InputError(faults)
    return Document(path, data, lines)


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """A text file as UTF-8; InputError for one that is missing, empty, too large, binary or otherwise encoded."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise InputError(f"{path}: is a folder, allowed: a file")
        if size > max_bytes:
            raise InputError(f"{path}: {size} bytes, allowed up to {max_bytes}")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: not UTF-8 text") from None
    if not text.strip():
        raise InputError(f"{path}:1: empty file")
    if "\0" in text:
        raise InputError(f"{path}:1: binary file, allowed: UTF-8 text")
    return text


def _refuse(path: Path, event: Any) -> None:
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise InputError(f"{path}:{line}: anchors and aliases are not allowed: write the value out")
    if getattr(event, "tag", None):
        raise InputError(f"{path}:{line}: tag {event.tag} is not allowed: plain values only")


def _value(path: Path, node: Any, prefix: str, lines: dict[str, int], faults: list[str], depth: int) -> Any:
    line = node.start_mark.line + 1
    if depth > MAX_DEPTH:
        faults.append(f"{path}:{line}: nested too deeply, allowed {MAX_DEPTH} levels")
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_value(path, item, prefix, lines, faults, depth + 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                faults.append(f"{path}:{key_line}: a key must be a word")
                continue
            key = key_node.value
            full = f"{prefix}.{key}" if prefix else key
            if key in result:
                faults.append(f"{path}:{key_line}: {full}: duplicate key, first on line {lines[full]}")
                continue
            lines[full] = key_line
            result[key] = _value(path, value_node, full, lines, faults, depth + 1)
        return result
    return _scalar(path, node, line, faults)


def _scalar(path: Path, node: Any, line: int, faults: list[str]) -> Any:
    kind, text = node.tag.removeprefix(_TAG), node.value
    if kind == "bool":
        return text.lower() == "true"
    if kind == "null":
        return None
    if kind == "int":
        if len(text) > 40:
            faults.append(f"{path}:{line}: {text[:20]}...: a number of {len(text)} digits, allowed 40")
            return None
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float":
        return float(text)
    return text
