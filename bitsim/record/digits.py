"""Train ResNet-20 at low precision on scikit-learn's 1,797 digit images and record its trace.

Small but real: real images, real losses that decide when precision rises, gates that choose for each sample,
a short last batch.  It is recorded as any user's loop would be, through Recorder.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bitsim.errors import InputError
from bitsim.record.policies import Controller, controller_named, described
from bitsim.schedules import DynamicPrecision
from bitsim.trace.reader import Trace
from bitsim.workload import FLOAT_BITS, Layer

if TYPE_CHECKING:
    import torch

    from bitsim.record.ranges import Precision
    from bitsim.record.recorder import Recorder
    from bitsim.record.resnet import ResNet

BATCH = 128
EPOCHS = 60
LEARNING_RATE = 0.05
WEIGHT_DECAY = 1e-4
# DFQ's cost term, 1e-3 in 64,000 iterations, times this: in these 600 no gate would leave its first choice.
COST_SCALE = 500
SPLIT = {"train": 1257, "validation": 270, "test": 270}


@dataclass
class _Log:
    loss: dict[str, list[float]] = field(default_factory=lambda: {"train": [], "validation": []})
    accuracy: dict[str, list[float]] = field(default_factory=lambda: {"train": [], "validation": [], "test": []})


def record_digits(folder: str | Path, schedule: str = "pfq", seed: int = 0, epochs: int = EPOCHS) -> Trace:
    """Train for `epochs` epochs and write the trace to `folder`, which must not exist.

    schedule: a key of policies.POLICIES.  Raises InputError if the folder exists, for another schedule,
    or without torch and scikit-learn.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder}: exists already, allowed: a new folder")
    controller = controller_named(schedule)
    source = f"recorded by bitsim trace record: {described(controller)}"
    candidates = controller.candidates if isinstance(controller, DynamicPrecision) else ()
    _need("torch", "sklearn")
    import sklearn
    import torch

    from bitsim.record.recorder import Recorder
    from bitsim.record.resnet import ResNet

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = ResNet(20, in_channels=1, classes=10, candidates=candidates)
    recorder = Recorder(model, BATCH, _precision_of(model), _gate_of if candidates else lambda layer: "")
    log = _train(model, controller, recorder, seed, epochs)
    return recorder.save(
        folder,
        model="ResNet-20 (16-32-64 channels, 1x1 projections)",
        dataset="scikit-learn digits, 1797 images of 8x8",
        compress=bool(candidates),
        source=source,
        iterations_per_epoch=-(-SPLIT["train"] // BATCH),
        loss=log.loss,
        accuracy=log.accuracy,
        split=SPLIT,
        seed=seed,
        optimizer=f"SGD, learning rate {LEARNING_RATE} divided by 10 at half and three quarters, momentum 0.9, "
        f"weight decay {WEIGHT_DECAY}" + (f", cost term times {COST_SCALE}" if candidates else ""),
        command=f"bitsim trace record {folder.name} --schedule {schedule} --epochs {epochs} --seed {seed}",
        versions={
            "torch": str(torch.__version__),
            "scikit-learn": str(sklearn.__version__),
            "python": platform.python_version(),
        },
    )


def _precision_of(model: ResNet) -> Callable[[Layer], Precision]:
    """Widths of the quantised convolutions; what else there is, is float."""
    from bitsim.record.quantise import QuantisedConv2d

    modules = dict(model.named_modules())

    def precision(layer: Layer) -> Precision:
        module = modules.get(layer.name)
        return module.precision() if isinstance(module, QuantisedConv2d) else (FLOAT_BITS,) * 3

    return precision


def _gate_of(layer: Layer) -> str:
    """layer1.0.conv1 and layer1.0.conv2 follow the gate layer1.0."""
    block, _, name = layer.name.rpartition(".")
    return block if name in ("conv1", "conv2") else ""


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


def _train(model: ResNet, controller: Controller, recorder: Recorder, seed: int, epochs: int) -> _Log:
    import torch
    from torch.nn import functional

    parts = _data(seed)
    images, labels = parts["train"]
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY)
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [max(epochs // 2, 1), max(epochs * 3 // 4, 2)])
    log = _Log()
    for _ in range(epochs):
        if not isinstance(controller, DynamicPrecision):
            model.set_widths(controller.bits()[:3])
        total, right = 0.0, 0
        for chosen in torch.randperm(len(labels)).split(BATCH):
            with recorder.step(len(chosen)):
                logits = model(images[chosen])
                loss = functional.cross_entropy(logits, labels[chosen])
                optimizer.zero_grad()
                (loss + _cost_term(model, controller)).backward()
            optimizer.step()
            total += loss.item() * len(chosen)
            right += int((logits.argmax(1) == labels[chosen]).sum())
        steps.step()
        validation_loss, validation_accuracy = _evaluate(model, *parts["validation"])
        log.loss["train"].append(round(total / len(labels), 5))
        log.loss["validation"].append(round(validation_loss, 5))
        log.accuracy["train"].append(round(right / len(labels), 5))
        log.accuracy["validation"].append(round(validation_accuracy, 5))
        controller.update(total / len(labels))
    log.accuracy["test"].append(round(_evaluate(model, *parts["test"])[1], 5))
    return log


def _cost_term(model: ResNet, controller: Controller) -> torch.Tensor | float:
    """DFQ's: the batch's cost, up or down, whichever leads to the target; nothing without a gate.

    Nothing either where the target lies below the cheapest candidate, as FracTrain's first does, and every
    sample runs it already: pushing on could only saturate the gate, which then stays there.
    """
    if model.gate is None or not isinstance(controller, DynamicPrecision):
        return 0.0
    cost = model.gate.cost()
    least = float(model.gate.costs.min())
    if controller.target < least and cost.item() <= least * (1 + 1e-5):
        return 0.0
    return COST_SCALE * controller.cost_factor(cost.item()) * cost


def _evaluate(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """(loss, accuracy) at the widths of training."""
    import torch
    from torch.nn import functional

    model.eval()
    with torch.no_grad():
        logits = model(images)
    model.train()
    accuracy = (logits.argmax(1) == labels).float().mean()
    return functional.cross_entropy(logits, labels).item(), accuracy.item()
