"""Train ResNet-20 with progressive precision on scikit-learn's 1,797 digit images and record its trace.

Small but real: real images, real losses that decide when precision rises (PFQ), a short last batch.
"""

from __future__ import annotations

import importlib
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitsim.errors import InputError
from bitsim.schedules import ProgressivePrecision
from bitsim.schedules.switching import ALPHA, EPS
from bitsim.trace.reader import Trace
from bitsim.trace.writer import write_trace
from bitsim.workload import FLOAT_BITS, Layer

if TYPE_CHECKING:
    import torch

BATCH = 128
EPOCHS = 60
LEARNING_RATE = 0.05
WEIGHT_DECAY = 1e-4
SPLIT = {"train": 1257, "validation": 270, "test": 270}


@dataclass
class _Log:
    losses: dict[str, list[float]]
    accuracy: dict[str, list[float]]
    ranges: list[tuple[int, int, int, tuple[int, int, int]]]  # first, last iteration, batch, widths


def record_digits(folder: str | Path, seed: int = 0, epochs: int = EPOCHS) -> Trace:
    """Train for `epochs` epochs and write the trace to `folder`, which must not exist.

    Raises InputError if the folder exists, or without torch and scikit-learn.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder}: exists already, allowed: a new folder")
    _need("torch", "sklearn")
    import sklearn
    import torch

    from bitsim.record.resnet import ResNet
    from bitsim.record.shapes import layers_of

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = ResNet(20, in_channels=1, classes=10)
    layers = layers_of(model, torch.zeros(1, 1, 8, 8))
    controller = ProgressivePrecision()
    log = _train(model, controller, seed, epochs)
    per_epoch = -(-SPLIT["train"] // BATCH)
    run = {
        "schema": 1,
        "name": folder.name,
        "model": "ResNet-20 (16-32-64 channels, 1x1 projections)",
        "dataset": "scikit-learn digits, 1797 images of 8x8",
        "batch": BATCH,
        "iterations": per_epoch * epochs,
        "source": "recorded by bitsim trace record: PFQ, forward 3/4/6/8, backward 6/6/8/8, "
        f"eps {EPS}, alpha {ALPHA}; the classifier is float",
        "synthetic": False,
        "iterations_per_epoch": per_epoch,
        "loss": log.losses,
        "accuracy": log.accuracy,
        "split": SPLIT,
        "seed": seed,
        "optimizer": f"SGD, learning rate {LEARNING_RATE} divided by 10 at half and three quarters, momentum 0.9, "
        f"weight decay {WEIGHT_DECAY}",
        "command": f"bitsim trace record {folder.name} --epochs {epochs} --seed {seed}",
        "versions": {
            "torch": str(torch.__version__),
            "scikit-learn": str(sklearn.__version__),
            "python": platform.python_version(),
        },
    }
    return write_trace(folder, run, layers, _rows(layers, log))


def _need(*modules: str) -> None:
    """InputError naming every module of the extra that is missing."""
    faults = []
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            faults.append(f"{name} is not installed: pip install '.[record]'")
    if faults:
        raise InputError(faults)


def _data(seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Images (N, 1, 8, 8) in [-1, 1] and labels of each split."""
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    parts, start = {}, 0
    for name, size in SPLIT.items():
        chosen = order[start : start + size]
        parts[name] = (images[chosen], labels[chosen])
        start += size
    return parts


def _train(model: torch.nn.Module, controller: ProgressivePrecision, seed: int, epochs: int) -> _Log:
    import torch
    from torch.nn import functional

    from bitsim.record.quantise import QuantisedConv2d

    parts = _data(seed)
    images, labels = parts["train"]
    convs = [module for module in model.modules() if isinstance(module, QuantisedConv2d)]
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY)
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [max(epochs // 2, 1), max(epochs * 3 // 4, 2)])
    log = _Log({"train": [], "validation": []}, {"validation": [], "test": []}, [])
    iteration = 0
    for _ in range(epochs):
        for conv in convs:
            conv.widths = controller.bits()[:3]
        total = 0.0
        for chosen in torch.randperm(len(labels)).split(BATCH):
            loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
            log.ranges.append((iteration, iteration + 1, len(chosen), controller.bits()[:3]))
            iteration += 1
        steps.step()
        validation_loss, validation_accuracy = _evaluate(model, *parts["validation"])
        log.losses["train"].append(round(total / len(labels), 5))
        log.losses["validation"].append(round(validation_loss, 5))
        log.accuracy["validation"].append(round(validation_accuracy, 5))
        controller.update(total / len(labels))
    log.accuracy["test"].append(round(_evaluate(model, *parts["test"])[1], 5))
    return log


def _evaluate(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    import torch
    from torch.nn import functional

    model.eval()
    with torch.no_grad():
        logits = model(images)
    model.train()
    accuracy = (logits.argmax(1) == labels).float().mean()
    return functional.cross_entropy(logits, labels).item(), accuracy.item()


def _rows(layers: list[Layer], log: _Log) -> list[dict[str, Any]]:
    merged: list[list[Any]] = []
    for first, last, batch, widths in log.ranges:
        if merged and merged[-1][2:] == [batch, widths]:
            merged[-1][1] = last
        else:
            merged.append([first, last, batch, widths])
    rows = []
    for first, last, batch, widths in merged:
        for layer in layers:
            activation, weight, gradient = widths if layer.kind == "conv" else (FLOAT_BITS,) * 3
            rows.append(
                {
                    "iteration_start": first,
                    "iteration_end": last,
                    "layer": layer.name,
                    "activation_bits": activation,
                    "weight_bits": weight,
                    "gradient_bits": gradient,
                    "batch": "" if batch == BATCH else batch,
                }
            )
    return rows
