"""The policies the shipped recordings were trained with: a controller of bitsim.schedules each; no torch here.

dfq8 is DFQ with its candidates capped at 8 bits, for hardware that has no more.
"""

from __future__ import annotations

from collections.abc import Callable

from bitsim.errors import InputError
from bitsim.schedules import STATIC, DynamicPrecision, FracTrain, ProgressivePrecision, StaticPrecision, capped
from bitsim.schedules.dynamic import CIFAR_CANDIDATES

Controller = ProgressivePrecision | StaticPrecision | DynamicPrecision

POLICIES: dict[str, Callable[[], Controller]] = {
    "pfq": ProgressivePrecision,
    "fw8bw8": lambda: StaticPrecision(STATIC["sbm-fw8bw8"]),
    "dfq": DynamicPrecision,
    "dfq8": lambda: DynamicPrecision(capped(CIFAR_CANDIDATES, 8)),
    "fractrain": FracTrain,
}


def controller_named(name: str) -> Controller:
    """A new controller of that name.  InputError with the known names if there is none."""
    if name not in POLICIES:
        raise InputError(f"--schedule: {name!r} is unknown, allowed: {', '.join(POLICIES)}")
    return POLICIES[name]()


def described(controller: Controller) -> str:
    """What decided the widths of a recording, for its `source`."""
    if isinstance(controller, StaticPrecision):
        return f"static, {controller.bits()}; the classifier is float"
    if isinstance(controller, ProgressivePrecision):
        switch, ladder = controller.switch, " ".join(map(str, controller.ladder))
        return f"PFQ, {ladder}, eps {switch.eps}, alpha {switch.alpha}; the classifier is float"
    candidates = " ".join(map(str, controller.candidates))
    if isinstance(controller, FracTrain):
        targets, switch = "/".join(map(str, controller.targets)), controller.switch
        target = f"FracTrain, target cp {targets} % raised at PFQ's switches, eps {switch.eps}, alpha {switch.alpha}"
    else:
        target = f"DFQ, target cp {controller.target} %"
    return (
        f"{target}, candidates {candidates}; first convolution, projections, gate and classifier are float; "
        "each sample runs the one candidate its gate picks"
    )
