"""Reading a machine file: strict YAML, overrides by key path, faults with file and line."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bitsim import data, strict_yaml
from bitsim.errors import InputError, refusal, unknown_key

ConfigT = TypeVar("ConfigT", bound=BaseModel)

# Setting one of a pair replaces the other.
_REPLACES = {
    "memory.bits_per_cycle": "memory.bandwidth",
    "memory.bandwidth": "memory.bits_per_cycle",
    "memory.latency_cycles": "memory.latency",
    "memory.latency": "memory.latency_cycles",
}


def check_no_key_replaces_another(keys: Collection[str]) -> None:
    """Raise InputError where two of `keys` say the same and the one set last would win."""
    for key in keys:
        if (other := _REPLACES.get(key)) in keys:
            raise InputError(f"--set: {key} and {other} say the same, allowed: one of them")


@dataclass(frozen=True)
class MachineSource:
    """A machine file as read, overrides applied, not yet checked against any accelerator."""

    name: str
    path: Path
    content: dict[str, Any]
    overrides: dict[str, Any]
    document: strict_yaml.Document = field(repr=False, compare=False)

    @property
    def accelerator(self) -> str:
        """Value of the key `accelerator`."""
        value = self.content.get("accelerator")
        if not isinstance(value, str) or not value:
            raise InputError(self.located("accelerator: missing or not a name, e.g. bitfusion"))
        return value

    @property
    def config_hash(self) -> str:
        """sha256 of the content with its overrides, whatever the order of keys."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True, default=str).encode()).hexdigest()

    def check_unchanged(self, config_hash: str) -> None:
        """Raise InputError if this is not the content that results with `config_hash` were made with."""
        if self.config_hash != config_hash:
            raise InputError(f"{self.path}: has changed since the results were written, run again")

    def overridden(self, overrides: Mapping[str, Any]) -> MachineSource:
        """This machine with ``{"array.cols": 24}`` set on top of what it has; InputError for what is no key path."""
        check_no_key_replaces_another(overrides)
        content = copy.deepcopy(self.content)
        for key, value in overrides.items():
            _set(content, key, value)
        return replace(self, content=content, overrides={**self.overrides, **overrides})

    def located(self, fault: str, met_in: str = "") -> str:
        """``key.path: what is wrong`` with the place of that key before it, and what it was met in."""
        key = fault.partition(":")[0]
        overridden = any(key == other or key.startswith(f"{other}.") for other in self.overrides)
        place = f"{self.path}: --set" if overridden else f"{self.path}:{self.document.line(key)}"
        return f"{place}: {met_in}: {fault}" if met_in else f"{place}: {fault}"

    def check(self, model: type[ConfigT]) -> ConfigT:
        """The content as `model`; InputError with every fault, its line and what is allowed."""
        try:
            return model.model_validate(self.content)
        except ValidationError as error:
            faults = dict.fromkeys(self._fault(model, item) for item in error.errors())
            by_line = sorted(faults, key=lambda fault: self.document.line(fault.partition(":")[0]))
            raise InputError([self.located(fault) for fault in by_line]) from None

    def _fault(self, model: type[BaseModel], item: Any) -> str:
        # Union branches put their own names at the end of a location: keep the part that is a key path.
        known = dict.fromkeys(key_paths(model))
        location = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            path = ".".join(location)
            parent = path.rpartition(".")[0]
            siblings = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == parent]
            return (f"{parent}." if parent else "") + unknown_key(location[-1], siblings)
        while len(location) > 1 and ".".join(location) not in known:
            location.pop()
        path = ".".join(location)
        inner = [k.rpartition(".")[2] for k in known if k.rpartition(".")[0] == path]
        return f"{path}: {refusal(item, inner)}" if path else refusal(item, inner)


def key_paths(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted paths of every key of `model`, sections and leaves."""
    paths = []
    for name, info in model.model_fields.items():
        path = prefix + (info.alias or name)
        paths.append(path)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            paths += key_paths(info.annotation, path + ".")
    return paths


def read_machine(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> MachineSource:
    """Read the machine file at a path, or shipped under a name, with `overrides` {"array.cols": 24} applied.

    Raises InputError for a file that is missing or not strict YAML.
    """
    text = str(name_or_path)
    path = Path(text)
    if not (path.suffix in (".yaml", ".yml") or "/" in text):
        path = data.find("hw_configs", text, ".yaml")
    document = strict_yaml.load(path)
    return MachineSource(path.stem, path, document.data, {}, document).overridden(overrides or {})


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    if not re.fullmatch(r"[A-Za-z_][\w]*(\.[A-Za-z_]\w*)*", key):
        raise InputError(f"--set: {key!r} is not a key path, e.g. array.rows")
    *parents, leaf = key.split(".")
    section = content
    for part in parents:
        inner = section.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set: {key}: {part} is a value, not a section")
        section = inner
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z/]+)\s*", value)
        value = f"{match[1]} {match[2]}" if match else value
    section[leaf] = value
    other = _REPLACES.get(key)
    if other:
        section.pop(other.rpartition(".")[2], None)
