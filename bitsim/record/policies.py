"""The precision policies the shipped recordings were trained with, as data; no torch here.

Source: FracTrain (NeurIPS 2020), Sec. 3 and 4.1: PFQ's ladder, DFQ's candidates and targets, the static
FW8/BW8 baseline.  dfq8 is DFQ with its candidates capped at 8 bits, for hardware that has no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.errors import InputError

EPS, ALPHA = 0.05, 0.3  # of PFQ, and of FracTrain's switches
_CIFAR_CANDIDATES = ((3, 6), (4, 6), (4, 8), (6, 8), (6, 12))
_UP_TO_8_BITS = ((3, 6), (4, 6), (4, 8), (6, 8))
GATED_WEIGHT_BITS = 4


@dataclass(frozen=True)
class Policy:
    """Who decides widths.  Stages follow each other at PFQ's switches; one stage is static.

    widths: (activation, weight, gradient) bits of every convolution by stage; or, with a gate,
    candidates: (activation, gradient) bits it picks from for each block and sample, and targets: cost in
    percent of float32 by stage.
    """

    source: str
    widths: tuple[tuple[int, int, int], ...] = ()
    candidates: tuple[tuple[int, int], ...] = ()
    targets: tuple[float, ...] = ()

    @property
    def stages(self) -> int:
        """How many stages there are."""
        return len(self.widths or self.targets)


_GATED = (
    f"weights {GATED_WEIGHT_BITS} bits; first convolution, projections, gate and classifier are float; each sample "
    "runs the one candidate its gate picks"
)
POLICIES = {
    "pfq": Policy(
        f"PFQ, forward 3/4/6/8, backward 6/6/8/8, eps {EPS}, alpha {ALPHA}; the classifier is float",
        widths=((3, 3, 6), (4, 4, 6), (6, 6, 8), (8, 8, 8)),
    ),
    "fw8bw8": Policy("static, 8 bits forward and backward; the classifier is float", widths=((8, 8, 8),)),
    "dfq": Policy(
        f"DFQ, activation/gradient 3/6 4/6 4/8 6/8 6/12, target cp 3 %; {_GATED}",
        candidates=_CIFAR_CANDIDATES,
        targets=(3.0,),
    ),
    "dfq8": Policy(
        f"DFQ capped at 8 bits, activation/gradient 3/6 4/6 4/8 6/8, target cp 3 %; {_GATED}",
        candidates=_UP_TO_8_BITS,
        targets=(3.0,),
    ),
    "fractrain": Policy(
        "FracTrain, activation/gradient 3/6 4/6 4/8 6/8 6/12, target cp 1.5/2/2.5/3 % raised at PFQ's switches, "
        f"eps {EPS}, alpha {ALPHA}; {_GATED}",
        candidates=_CIFAR_CANDIDATES,
        targets=(1.5, 2.0, 2.5, 3.0),
    ),
}


def policy_named(name: str) -> Policy:
    """The policy of that name.  InputError with the known names if there is none."""
    if name not in POLICIES:
        raise InputError(f"--schedule: {name!r} is unknown, allowed: {', '.join(POLICIES)}")
    return POLICIES[name]


def cost_percent(activation_bits: int, weight_bits: int, gradient_bits: int) -> float:
    """cp: effective multiply-accumulates of the three products in percent of float32."""
    products = (
        activation_bits * weight_bits,
        gradient_bits * weight_bits,
        activation_bits * gradient_bits,
    )
    return 100 * sum(products) / len(products) / 1024
