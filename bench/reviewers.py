"""docs/reviewers.md: what reviewers of precision-schedule papers ask, answered by commands and what they print.

``python -m bench.reviewers`` prints the page, ``python -m bench.reviewers docs/reviewers.md`` writes it (under a minute
of one core).  Words stand here, figures come from the commands; tests/test_reviewers_page.py plays the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bitsim
from bitsim.cli.main import main as command

COLUMNS = "88"
LINE = 118  # characters of a line of words
FLEXIBLE, FIXED, RAW = "bitfusion_16x32_192b", "int8_16x32_192b", "int8_raw_dram_16x32_192b"
NARROW = "eyeriss_int8_12x14_108k_500mhz"
RECORDED, MODELS = "resnet20_digits_pfq", ("resnet110", "resnet164", "resnet18", "resnet50", "bert-base", "gpt2")
LOSSES = "loss.csv"
FENCE = "```"
LEFT_OUT = "..."


@dataclass(frozen=True)
class Step:
    """Commands in a block; of what the last of them prints, from a line with `first` to one with `last` (blank: to
    the next empty line; first blank: all)."""

    commands: tuple[str, ...]
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Answer:
    """A question, what to know before reading the figures, and the commands that give them."""

    question: str
    words: str
    steps: tuple[Step, ...]
    files: tuple[str, ...] = ()


def on(*machines: str) -> str:
    """The --hw options of machines."""
    return " ".join(f"--hw {name}" for name in machines)


def of_model(model: str) -> Step:
    """One iteration of a large model under PFQ's first stage."""
    make = f"bitsim trace synth pfq --model {model} --out {model}"
    run = f"bitsim run {model} {on(FLEXIBLE, FIXED)} --iterations 0:1"
    return Step((make, run), f"{model} (synthetic)", FIXED)


ANSWERS = (
    Answer(
        "Do effective MACs say what hardware saves?",
        "They weigh a MAC by its bits, the same on every machine, so they cannot tell machines apart. Over training "
        "they promise a fall of cost from the dearest to the cheapest iteration that no machine keeps. The sentences "
        "say by which factors, in a product that is exact.",
        (
            Step((f"bitsim compare {RECORDED} {on(FLEXIBLE, FIXED)}",), "Where metrics disagree"),
            Step((f"bitsim compare {RECORDED} {on(FLEXIBLE, FIXED)}",), "The cheapest iteration"),
        ),
    ),
    Answer(
        "Do integer baselines run on integer hardware?",
        "Each training run on the machine it is made for: progressive precision on the bit-flexible array, 8 bits "
        "throughout on the fixed array and on a row-stationary one, with equal clock and memory.",
        (
            Step((f"bitsim run {RECORDED} {on(FLEXIBLE)}",), "iterations 0:600", FLEXIBLE),
            Step((f"bitsim run resnet20_digits_fw8bw8 {on(FIXED, NARROW)}",), "iterations 0:600", NARROW),
        ),
    ),
    Answer(
        "Which of the two wins at an equal size, and from which widths on?",
        "A fusion unit is larger than a fixed one. Each line brings the flexible machine to the size of the integer "
        "baseline by a rule of [compare.md](compare.md), and runs the layers of the trace once at each width.",
        (Step((f"bitsim compare {RECORDED} {on(FIXED, FLEXIBLE)} --break-even",), "Widths at which"),),
    ),
    Answer(
        "How much of that is the constants?",
        "Each constant is tried over a range with a stated reason, one at a time; energy is linear in prices, so "
        "scaling its components is exact for the mappings chosen. No price changes time.",
        (
            Step((f"bitsim compare {RECORDED} {on(FIXED, FLEXIBLE)} --sensitivity",), "as given"),
            Step((f"bitsim compare {RECORDED} {on(FIXED, FLEXIBLE)} --sensitivity",), "Verdicts that flip"),
            Step((f"bitsim compare {RECORDED} {on(FIXED, FLEXIBLE)} --sensitivity",), "Ranges, and why"),
        ),
    ),
    Answer(
        "What does the cap of 8 bits do?",
        "Wider operands run in passes of at most 8 bits on these machines. Training with a gate free to go "
        "above 8 bits, and training with it capped; then the free one on units that fuse up "
        "to 16 bits, at equal peak bit products.",
        (
            Step((f"bitsim run resnet20_digits_dfq {on(FLEXIBLE, FIXED)}",), "iterations 0:", FIXED),
            Step((f"bitsim run resnet20_digits_dfq8 {on(FLEXIBLE, FIXED)}",), "iterations 0:", FIXED),
            Step(
                (f"bitsim compare resnet20_digits_dfq {on(FLEXIBLE, 'bitfusion_2to16_8x16_192b')}",), "metrics, whole"
            ),
        ),
    ),
    Answer(
        "An inference array has no reuse for gradients: what is assumed?",
        "The loop nest found for each product, and for each operand how many MACs a word serves at each level. The "
        "weight gradient's lanes want words along positions; whoever writes them stores them in that form too, and "
        "the copies are counted ([energy.md](energy.md)).",
        (
            Step((f"bitsim explain {RECORDED} {on(FLEXIBLE)} --layer layer2.1.conv1 --pass wgrad",), "loop nest"),
            Step((f"bitsim explain {RECORDED} {on(FLEXIBLE)} --layer layer2.1.conv1 --pass wgrad",), "reuse:"),
            Step((f"bitsim explain {RECORDED} {on(FLEXIBLE)} --layer layer2.1.conv1 --pass dgrad",), "reuse:"),
        ),
    ),
    Answer(
        "Does precision for each sample fit batched hardware?",
        "Three ways to run samples of different widths: the batch at its greatest widths, groups of equal widths, "
        "one by one ([per_sample.md](per_sample.md)).",
        (
            Step(
                (f"bitsim run resnet20_digits_dfq --samples all {on(FLEXIBLE)}",),
                "resnet20_digits_dfq on",
                "summing dW",
            ),
        ),
    ),
    Answer(
        "What is precision worth to bit-parallel machines?",
        "Traffic only: `storage.dram: raw` keeps words in memory at their own widths, and the units stay as they are. "
        "From left to right: 8-bit containers; narrow words in memory; units that split as well.",
        (Step((f"bitsim compare {RECORDED} {on(FIXED, RAW, FLEXIBLE)}",), "metrics, whole"),),
    ),
    Answer(
        "What of larger models?",
        "Shapes of published networks under PFQ's published ladder, one iteration of its first stage; synthetic "
        "traces, nothing was trained, and the arrays are not of equal "
        "area (see above). Networks of images of 32x32, of ImageNet, and of text.",
        tuple(of_model(model) for model in MODELS),
    ),
    Answer(
        "How do eps and alpha move the stages?",
        "The switch is played on the losses of one recorded run at several thresholds: stages and effective MACs "
        "without training again. A different precision would have changed the losses, which this does not say.",
        (
            Step(
                (f"bitsim trace stages --loss {LOSSES} --eps 0.02,0.05,0.1 --alpha 0.1,0.3 --model {RECORDED}",),
            ),
        ),
        (LOSSES,),
    ),
    Answer(
        "On which data was what decided?",
        "A trace says how its data was split and which losses and accuracies it holds. In the recorded runs the switch "
        "and the gates see the training loss alone; validation is read once an epoch, the test images once at the end.",
        (Step((f"bitsim trace info {RECORDED}",), "split", "accuracy of"),),
    ),
)


def excerpt(printed: str, step: Step) -> str:
    """The part of an output a step shows, with dots for what is left out.  ValueError if it is not there."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    if not step.first:
        return "\n".join(lines)
    start = next((i for i, line in enumerate(lines) if step.first in line), None)
    if start is None:
        raise ValueError(f"{step.commands[-1]}: prints no line with {step.first!r}")
    after = range(start + 1, len(lines))
    if step.last:
        end = next(i for i in after if step.last in lines[i]) + 1
    else:
        end = next((i for i in after if not lines[i]), len(lines))
    before, behind = ([LEFT_OUT] if cut else [] for cut in (start, end < len(lines)))
    return "\n".join([*before, *lines[start:end], *behind])


def printed_by(line: str) -> str:
    """What a bitsim command writes to stdout.  ValueError if it fails."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            command(shlex.split(line)[1:])
        except SystemExit as stop:
            if stop.code:
                raise ValueError(f"{line}: exit {stop.code}") from None
    return out.getvalue()


def page() -> Iterator[str]:
    """Lines of the page; runs its commands in the current folder."""
    yield "# Questions reviewers ask\n"
    yield "Reviewers of papers on precision schedules ask what the savings are worth on hardware. Each question below"
    yield "has commands and what they print; the page is made by `python -m bench.reviewers` and a test plays it."
    yield "Machines are models, described in [microarchitecture.md](microarchitecture.md) and"
    yield "[machines.md](machines.md), not chips."
    yield "\nDots stand for lines left out."
    done: dict[str, str] = {}
    for answer in ANSWERS:
        yield f"\n## {answer.question}\n\n{textwrap.fill(answer.words, LINE)}"
        for name in answer.files:
            yield f'\n{FENCE}text title="{name}"\n{Path(name).read_text().strip()}\n{FENCE}'
        for step in answer.steps:
            for line in step.commands:
                if line not in done:
                    done[line] = printed_by(line)
            yield f"\n{FENCE}bash\n" + "\n".join(step.commands) + f"\n{FENCE}"
            yield f"\n{FENCE}text\n{excerpt(done[step.commands[-1]], step)}\n{FENCE}"


def losses() -> str:
    """The training losses of the recorded run, as a file of `trace stages`."""
    loss = bitsim.open_trace(RECORDED).run.loss
    assert isinstance(loss, dict)
    return "epoch,loss\n" + "".join(f"{epoch},{value}\n" for epoch, value in enumerate(loss["train"]))


def main() -> None:
    """Print the page, or write it to the file given."""
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    os.environ["COLUMNS"] = COLUMNS
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path(LOSSES).write_text(losses())
        text = "\n".join(page()) + "\n"
        os.chdir("/")
    if target is None:
        print(text, end="")
    else:
        target.write_text(text)


if __name__ == "__main__":
    main()
