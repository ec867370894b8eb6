"""A loss log: CSV of ``epoch,loss``, or of ``iteration,loss``, from which epoch means are taken."""

from __future__ import annotations

import math
import re
from pathlib import Path

from bitsim.errors import InputError
from bitsim.strict_yaml import read_text
from bitsim.trace.cells import Faults, parse_cells

MAX_LOSS_BYTES = 2**28
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)


def read_losses(path: Path, iterations_per_epoch: int | None) -> list[float]:
    """Loss of each epoch.

    Epochs count up by one from 0 or 1.  Iterations rise from 0 on and may leave some out, but every epoch of
    `iterations_per_epoch` iterations must have one; its loss is the mean of those logged.
    InputError with every fault and its line.
    """
    text = read_text(path, MAX_LOSS_BYTES)
    columns = [name.strip() for name in text.lstrip().splitlines()[0].split(",")]
    key = "iteration" if "iteration" in columns else "epoch"
    header, lines, rows = parse_cells(path, text, (key, "loss"), ())
    if key == "iteration" and iterations_per_epoch is None:
        raise InputError(f"{path}:1: losses of iterations, which need --iterations-per-epoch")
    faults = Faults(path)
    numbers: list[int] = []
    losses: list[float] = []
    for line, cells in zip(lines, rows, strict=True):
        text, loss = cells[header.index(key)], cells[header.index("loss")]
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
        if number < 0:
            faults.add(line, f"{key}: {text!r}, allowed: a whole number from 0")
        elif numbers and number <= numbers[-1]:
            faults.add(line, f"{key}: {number} after {numbers[-1]}, allowed: rising")
        elif key == "epoch" and number != (numbers[-1] + 1 if numbers else min(number, 1)):
            faults.add(line, f"epoch: {number}, allowed: one after the other, from 0 or 1")
        sound = _NUMBER.fullmatch(loss) and math.isfinite(float(loss))
        if not sound:
            faults.add(line, f"loss: {loss!r}, allowed: a finite number")
        numbers.append(number)
        losses.append(float(loss) if sound else 0.0)
    faults.check()
    return losses if key == "epoch" else _means(path, numbers, losses, iterations_per_epoch or 1)


def _means(path: Path, numbers: list[int], losses: list[float], per_epoch: int) -> list[float]:
    sums: dict[int, tuple[float, int]] = {}
    for number, loss in zip(numbers, losses, strict=True):
        total, count = sums.get(number // per_epoch, (0.0, 0))
        sums[number // per_epoch] = (total + loss, count + 1)
    for expected, epoch in enumerate(sums):
        if epoch != expected:
            raise InputError(
                f"{path}:1: no loss of iterations {expected * per_epoch} to {epoch * per_epoch}, "
                f"allowed: at least one an epoch of {per_epoch}"
            )
    return [total / count for total, count in sums.values()]
