"""Widths of every layer in every step, as rows of a precision table: steps in which nothing changes are one range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bitsim.errors import InputError
from bitsim.workload import Layer

# (activation, weight, gradient[, weight gradient[, output]]) bits of a whole batch, or such widths with their samples.
# Numbers not given may be None at the end, so that schedules.Bits can be handed on.
Precision = Sequence[int | None] | Sequence[tuple[int, Sequence[int | None]]]
Groups = tuple[tuple[int, tuple[int, ...]], ...]
_WIDTHS = ("activation_bits", "weight_bits", "gradient_bits", "weight_gradient_bits", "output_bits")
IDLE: Groups = ()


@dataclass
class Range:
    """Steps from `start` to before `end` that ran a layer on the same groups of samples."""

    start: int
    end: int
    groups: Groups


@dataclass
class Ranges:
    """Ranges of each layer by its name; a layer that a step does not name did not run in it."""

    steps: int = 0
    of_layer: dict[str, list[Range]] = field(default_factory=dict)

    def add(self, groups: dict[str, Groups]) -> None:
        """One more step."""
        for name in groups.keys() - self.of_layer.keys():
            self.of_layer[name] = [Range(0, self.steps, IDLE)] if self.steps else []
        for name, ranges in self.of_layer.items():
            now = groups.get(name, IDLE)
            if ranges and ranges[-1].groups == now:
                ranges[-1].end += 1
            else:
                ranges.append(Range(self.steps, self.steps + 1, now))
        self.steps += 1

    def rows(self, layers: Iterable[Layer], batch: int) -> list[dict[str, Any]]:
        """Rows of the precision table by range, then layer order; members of a gate that never differ share theirs."""
        speakers: dict[str, str] = {}  # name in the table -> layer whose ranges it has
        members: dict[str, list[str]] = {}
        for layer in layers:
            members.setdefault(layer.gate_group, []).append(layer.name)
        shared = {
            gate
            for gate, names in members.items()
            if gate and all(self.of_layer[n] == self.of_layer[names[0]] for n in names)
        }
        for layer in layers:
            gate = layer.gate_group
            speakers.setdefault(f"gate:{gate}" if gate in shared else layer.name, layer.name)
        listed = [(r, said) for said, name in speakers.items() for r in self.of_layer[name]]
        listed.sort(key=lambda item: item[0].start)
        return [row for r, said in listed for row in _rows(r, said, batch)]


def groups_of(layer: Layer, samples: int, precision: Precision) -> Groups:
    """What a layer ran at, checked.  InputError unless there are three to five widths, and samples add up."""
    listed: list[Any] = list(precision)
    whole = bool(listed) and all(isinstance(x, int | None) for x in listed)
    pairs: list[Any] = [(samples, listed)] if whole else listed
    try:
        merged: dict[tuple[int, ...], int] = {}
        for count, widths in pairs:
            key = tuple(int(w) for w in _without_blank_end(widths))
            if not 3 <= len(key) <= len(_WIDTHS):
                raise ValueError
            merged[key] = merged.get(key, 0) + int(count)
    except (TypeError, ValueError):
        raise InputError(
            f"layer {layer.name}: precision {precision!r}, allowed: 3 to 5 widths, or pairs (samples, widths)"
        ) from None
    groups = tuple((count, widths) for widths, count in sorted(merged.items()) if count)
    total = sum(count for count, _ in groups)
    if total != samples:
        raise InputError(f"layer {layer.name}: the precision is said of {total} samples, it ran on {samples}")
    return groups


def _without_blank_end(widths: Sequence[int | None]) -> Sequence[Any]:
    """Optional widths left blank, as controllers do."""
    said = list(widths)
    while said and said[-1] is None:
        said.pop()
    return said


def _rows(r: Range, said: str, batch: int) -> list[dict[str, Any]]:
    place = {"iteration_start": r.start, "iteration_end": r.end, "layer": said}
    if r.groups == IDLE:
        return [place | {"samples": 0}]
    total = sum(count for count, _ in r.groups)
    place["batch"] = "" if total == batch else total
    return [
        place | {"samples": count if len(r.groups) > 1 else ""} | dict(zip(_WIDTHS, widths, strict=False))
        for count, widths in r.groups
    ]
