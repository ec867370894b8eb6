"""From a schedule's name and options to a plan.

Assumptions
    - Without losses the stages of PFQ and FracTrain are equal parts of the run: where the published runs switched
      was not published.
    - The default candidates and targets of DFQ and FracTrain are those published for CIFAR on small images, else
      those published for ImageNet.  What gates choose is a mixture that meets the target (`schedules.dynamic`).
    - The gates' own products (a few thousand MACs a block) are left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from bitsim.errors import InputError
from bitsim.networks import Network
from bitsim.schedules import STATIC, Bits, CyclicPrecision, DynamicPrecision, FracTrain, LossSwitch, capped
from bitsim.schedules import cyclic as cpt
from bitsim.schedules import dynamic as dfq
from bitsim.schedules.progressive import LADDER
from bitsim.schedules.switching import ALPHA, EPS, WINDOW, stage_epochs
from bitsim.synthetic.bits_file import read_bits
from bitsim.synthetic.plan import Phase, Plan, stage_phases

_ORDER = "(activation/weight/gradient bits)"
_SWITCHING = ("switch_at", "losses", "eps", "alpha", "window")
_GATED = ("candidates", "target", "cap", "mixture")
APPLIES: dict[str, tuple[str, ...]] = {
    "pfq": ("ladder", *_SWITCHING),
    "dfq": _GATED,
    "fractrain": (*_GATED, *_SWITCHING),
    "cpt": ("lowest", "highest", "periods", "gradient_bits"),
    "static": ("bits",),
    "table": ("table",),
} | dict.fromkeys(STATIC, ())
SCHEDULES = tuple(APPLIES)


@dataclass(frozen=True)
class ScheduleOptions:
    """What a user may say about a schedule; None: the published value.

    bits, ladder, candidates: as `Bits` are written; target: percent, one for each stage of FracTrain;
    switch_at: first iterations of the second and later stages; losses: of each epoch; table: file of bits per layer.
    """

    bits: Bits | None = None
    table: Path | None = None
    ladder: tuple[Bits, ...] | None = None
    candidates: tuple[Bits, ...] | None = None
    target: tuple[float, ...] | None = None
    cap: int | None = None
    mixture: str | None = None
    switch_at: tuple[int, ...] | None = None
    losses: tuple[float, ...] | None = None
    eps: float | None = None
    alpha: float | None = None
    window: int | None = None
    lowest: int | None = None
    highest: int | None = None
    periods: int | None = None
    gradient_bits: int | None = None


def make_plan(
    schedule: str,
    options: ScheduleOptions,
    network: Network,
    batch: int,
    iterations: int,
    iterations_per_epoch: int | None,
) -> Plan:
    """The plan of a run of `iterations` batches of `batch` samples under the schedule named.

    InputError with all faults: an unknown schedule, options that do not apply to it or exclude each other, values
    out of range, losses that do not fit the run.
    """
    check_options(schedule, options)
    if iterations < 1 or batch < 1:
        raise InputError("--batch, --iterations: allowed: 1 or more")
    run = _Run(options, network, batch, iterations, iterations_per_epoch)
    if schedule in STATIC or schedule == "static":
        return _static(schedule, run)
    makers: dict[str, Callable[[_Run], Plan]] = {
        "pfq": _pfq,
        "dfq": _dfq,
        "fractrain": _fractrain,
        "cpt": _cpt,
        "table": _table,
    }
    try:
        return makers[schedule](run)
    except InputError:
        raise
    except ValueError as error:  # a controller refused a value
        raise InputError(f"{schedule}: {error}") from None


def check_options(schedule: str, options: ScheduleOptions) -> None:
    """InputError unless the schedule exists and every option given applies to it."""
    if schedule not in APPLIES:
        near = difflib.get_close_matches(schedule, SCHEDULES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SCHEDULES)}"
        raise InputError(f"{schedule}: unknown schedule, {hint}")
    faults = []
    for item in fields(options):
        if getattr(options, item.name) is not None and item.name not in APPLIES[schedule]:
            with_ = [name for name, allowed in APPLIES.items() if item.name in allowed]
            faults.append(f"{flag(item.name)}: does not apply to {schedule}, allowed with: {', '.join(with_)}")
    for name in ("bits", "table"):
        if schedule == {"bits": "static", "table": "table"}[name] and getattr(options, name) is None:
            faults.append(f"{schedule}: needs {flag(name)}")
    given = [name for name in ("eps", "alpha", "window") if getattr(options, name) is not None]
    if options.losses is None:
        faults += [f"{flag(name)}: needs --loss FILE, whose losses it judges" for name in given]
    elif options.switch_at is not None:
        faults.append("--switch-at: not beside --loss, which says when stages switch; allowed: one of the two")
    if faults:
        raise InputError(faults)


def flag(option: str) -> str:
    """The command-line flag of a field of `ScheduleOptions`."""
    return "--loss" if option == "losses" else f"--{option.replace('_', '-')}"


@dataclass(frozen=True)
class _Run:
    options: ScheduleOptions
    network: Network
    batch: int
    iterations: int
    iterations_per_epoch: int | None


def _static(schedule: str, run: _Run) -> Plan:
    bits = run.options.bits or STATIC[schedule]
    return Plan((Phase(0, run.iterations, ((None, bits),)),), f"{schedule}: {bits} {_ORDER} throughout")


def _table(run: _Run) -> Plan:
    assert run.options.table is not None
    table = read_bits(run.options.table, run.network.layers)
    described = f"bits of each layer from {run.options.table.name}, throughout"
    return Plan((Phase(0, run.iterations, ()),), described, table=table)


def _cpt(run: _Run) -> Plan:
    given = run.options
    schedule = CyclicPrecision(
        run.iterations,
        cpt.LOWEST if given.lowest is None else given.lowest,
        cpt.HIGHEST if given.highest is None else given.highest,
        cpt.PERIODS if given.periods is None else given.periods,
        cpt.GRADIENT_BITS if given.gradient_bits is None else given.gradient_bits,
    )
    described = (
        f"CPT (ICLR 2021): forward {schedule.lowest} to {schedule.highest} bits on a cosine, {schedule.periods} "
        f"periods, backward {schedule.gradient_bits}"
    )
    return Plan(tuple(Phase(a, b, ((None, bits),)) for a, b, bits in schedule.ranges()), described)


def _pfq(run: _Run) -> Plan:
    ladder = run.options.ladder or LADDER
    starts, when = _stages(run, len(ladder))
    stages = [((None, bits),) for bits in ladder]
    described = f"PFQ (FracTrain, NeurIPS 2020): {', '.join(map(str, ladder))} {_ORDER}, {when}"
    return Plan(stage_phases(starts, run.iterations, stages), described, losses=run.options.losses or ())


def _dfq(run: _Run) -> Plan:
    targets = run.options.target or (dfq.CIFAR_TARGET if run.network.small_images else dfq.IMAGENET_TARGETS[-1],)
    if len(targets) != 1:
        raise InputError(f"--target: {len(targets)} targets, allowed with dfq: one")
    return _gated(run, "DFQ", targets, [0], "")


def _fractrain(run: _Run) -> Plan:
    targets = run.options.target or (dfq.CIFAR_TARGETS if run.network.small_images else dfq.IMAGENET_TARGETS)
    FracTrain(targets=targets)  # its checks
    starts, when = _stages(run, len(targets))
    return _gated(run, "FracTrain", targets, starts, f", {when}")


def _gated(run: _Run, name: str, targets: Sequence[float], starts: Sequence[int], when: str) -> Plan:
    given, network = run.options, run.network
    if not network.gate_groups():
        raise InputError(f"{name.lower()}: no layer of {network.title} has a gate_group, allowed: at least one")
    candidates = given.candidates or (dfq.CIFAR_CANDIDATES if network.small_images else dfq.IMAGENET_CANDIDATES)
    if given.cap is not None:
        candidates = capped(candidates, given.cap)
    shape = given.mixture or dfq.MIXTURES[0]
    costs = [bits.cost_percent for bits in candidates]
    stages, notes = [], []
    for target in targets:
        controller = DynamicPrecision(candidates, target)
        counts = controller.mixture(run.batch, shape)
        chosen = [(count, bits) for count, bits in zip(counts, candidates, strict=True) if count]
        stages.append([(None if len(chosen) == 1 else count, bits) for count, bits in chosen])
        if not min(costs) <= target <= max(costs):
            side = "below" if target < min(costs) else "above"
            notes.append(
                f"target cp {target:g} % is {side} what the candidates cost ({min(costs):.3f} to {max(costs):.3f} %): "
                f"every sample runs {chosen[0][1]}"
            )
    described = (
        f"{name} (NeurIPS 2020): candidates {', '.join(map(str, candidates))} {_ORDER}, target cp "
        f"{'/'.join(f'{target:g}' for target in targets)} %, mixture by choice ({shape}){when}"
    )
    phases = stage_phases(starts, run.iterations, stages)
    return Plan(phases, described, gated=True, notes=tuple(notes), losses=given.losses or ())


def _stages(run: _Run, stages: int) -> tuple[list[int], str]:
    """(first iteration of each stage, how that was decided)."""
    given, iterations = run.options, run.iterations
    if given.losses is not None:
        eps = EPS if given.eps is None else given.eps
        alpha = ALPHA if given.alpha is None else given.alpha
        window = WINDOW if given.window is None else given.window
        per_epoch = _check_epochs(run)
        starts = [epoch * per_epoch for epoch in stage_epochs(given.losses, stages, eps, alpha, window)]
        rule = f"eps {eps:g}, alpha {alpha:g}, window {window}"
        return starts, f"switched by the losses given ({rule}) at iterations {_listed(starts[1:])}"
    LossSwitch(stages)  # its checks
    if given.switch_at is None:
        starts = [stage * iterations // stages for stage in range(stages)]
        return starts, f"switched at equal parts of the run, by choice: iterations {_listed(starts[1:])}"
    starts = [0, *given.switch_at]
    if len(starts) > stages or any(b <= a for a, b in zip(starts, [*starts[1:], iterations], strict=True)):
        raise InputError(
            f"--switch-at: {_listed(starts[1:])}, allowed: up to {stages - 1} iterations, rising, below {iterations}"
        )
    return starts, f"switched by choice at iterations {_listed(starts[1:])}"


def _check_epochs(run: _Run) -> int:
    """Iterations an epoch; InputError unless the losses given span the run, the last epoch cut short or not."""
    per_epoch, losses = run.iterations_per_epoch, run.options.losses or ()
    if per_epoch is None:
        raise InputError("--loss: the model has no epochs, needs --iterations-per-epoch")
    if -(-run.iterations // per_epoch) != len(losses):
        raise InputError(
            f"--loss: {len(losses)} epochs of {per_epoch} iterations, but the run has {run.iterations}: allowed: "
            f"--iterations {len(losses) * per_epoch}"
        )
    return per_epoch


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
