"""bitsim compare and bitsim demo: the machines side by side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bitsim.cli.options import (
    Format,
    Iterations,
    Machines,
    Objective,
    OutFolder,
    Overlap,
    Passes,
    Samples,
    Settings,
    Timing,
    TraceArgument,
    open_all,
    parse_iterations,
    simulate_all,
    simulate_machines,
)
from bitsim.errors import InputError

DEMO_TRACE = "resnet20_digits_pfq"
DEMO_MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k_500mhz")


def compare(
    trace: TraceArgument,
    hw: Machines,
    baseline: Annotated[str | None, typer.Option(help="Machine the ratios are to (default: the first).")] = None,
    iso: Annotated[
        Literal["none", "array", "core-area", "chip-area", "memory", "buffers"],
        typer.Option(help="Resize the others to the baseline; none compares them as given."),
    ] = "none",
    grow: Annotated[
        Literal["cols", "rows", "both"] | None,
        typer.Option(help="What of an array changes for an equal area (default: both)."),
    ] = None,
    save_resized: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the resized machine files; new or empty.")
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Instead: which constants the verdict turns on, and where.")
    ] = False,
    break_even: Annotated[
        bool, typer.Option("--break-even", help="Instead: at which widths each beats the baseline, by iso mode.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the view: .pdf, .svg or .png; tornado or lines.")
    ] = None,
    objective: Objective = "cycles",
    passes: Passes = "forward,dgrad,wgrad",
    iterations: Iterations = None,
    set_: Settings = None,
    format_: Format = "table",
    timing: Timing = "collapsed",
    samples: Samples = "batch-max",
    overlap: Overlap = "barrier",
    out: OutFolder = None,
) -> None:
    """TRACE on several machines side by side: time, energy by component, utilisation, bounds, ratios."""
    from bitsim import __version__
    from bitsim.cli.verdict_views import check_views, draw_sensitivity, show_break_even, show_sensitivity
    from bitsim.iso import BOTH, CHIP_AREA, CORE_AREA, MODES, resize
    from bitsim.report import folder
    from bitsim.report.compare_text import print_comparison
    from bitsim.report.machine_files import OPTION, write_resized
    from bitsim.report.whole_folder import check_apart, check_writable
    from bitsim.simulation.compare import check_machines
    from bitsim.simulation.compare import compare as compare_results

    check_views(sensitivity, break_even, picture, {"--out": out, "--save-resized": save_resized}, iterations)
    if out is not None:
        check_writable(out)
    if save_resized is not None:
        if iso == "none":
            raise InputError(f"{OPTION} {save_resized}: --iso none resizes nothing, allowed: with another --iso")
        check_writable(save_resized, OPTION)
    check_apart({"--out": out, OPTION: save_resized, "--picture": picture})
    if grow is not None and iso not in (CORE_AREA, CHIP_AREA) and not (break_even and iso == "none"):
        raise InputError(f"--grow {grow}: --iso {iso} grows no array, allowed: with --iso {CORE_AREA} or {CHIP_AREA}")
    span = parse_iterations(iterations)
    opened, machines = open_all(trace, hw, set_)
    names = dict(zip(hw, (m.name for m in machines), strict=True))
    base = names.get(baseline, baseline) if baseline is not None else None
    check_machines(list(names.values()), base)
    choices = {"objective": objective, "samples": samples, "timing": timing, "overlap": overlap}
    if break_even:
        from bitsim.simulation.break_even import NONE
        from bitsim.simulation.break_even import break_even as at_widths

        found = at_widths(
            opened,
            machines,
            base or machines[0].name,
            (NONE, *MODES) if iso == NONE else (iso,),
            lambda of, one: simulate_machines(of, [one], None, passes, **choices)[0],
            grow or BOTH,
        )
        show_break_even(found, format_, picture)
        return
    resized = resize(machines, iso, base, grow or BOTH) if iso != "none" else ()
    results = simulate_machines(opened, [r.machine for r in resized] or machines, span, passes, **choices)
    comparison = compare_results(results, base, resized)
    if sensitivity:
        from bitsim.simulation.sensitivity import sensitivity as turned_on

        turns = turned_on(
            results,
            comparison.baseline.machine.name,
            lambda one: simulate_machines(opened, [one], span, passes, **choices)[0],
        )
        draw_sensitivity(turns, picture)  # first, as what is most likely to fail
    if out is not None:
        folder.write_folder(out, results, about=comparison.about())
    if save_resized is not None:
        for path in write_resized(save_resized, resized, comparison.baseline.machine.name):
            print(f"written: {path}", file=sys.stderr)
    if sensitivity:
        show_sensitivity(turns, format_)
    elif format_ == "json":
        sys.stdout.write(json.dumps({"bitsim": __version__} | comparison.document(), indent=1) + "\n")
    elif format_ == "csv":
        sys.stdout.write(comparison.by_layer().to_csv(index=False))
    else:
        from bitsim.report.console import plain_console

        print_comparison(comparison, plain_console())


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the picture and the results; new or empty.")] = Path(
        "bitsim_demo"
    ),
) -> None:
    """A recorded training run on the bit-flexible array and on the integer machine: table, picture and report."""
    from bitsim.report import folder
    from bitsim.report.compare_text import print_comparison
    from bitsim.report.console import plain_console
    from bitsim.report.html import PAGE, write_report
    from bitsim.report.picture import paper_style, save_figure
    from bitsim.report.plots.stages import stages_figure
    from bitsim.report.result_folder import read_folder
    from bitsim.report.whole_folder import check_writable
    from bitsim.simulation.compare import compare as compare_results

    check_writable(out)
    results = simulate_all(DEMO_TRACE, list(DEMO_MACHINES), None, None, "forward,dgrad,wgrad")
    console = plain_console()
    comparison = compare_results(results)
    print_comparison(comparison, console, layers=False)
    folder.write_folder(out, results, about=comparison.about())
    written = read_folder(out)
    with paper_style():
        save_figure(stages_figure([written]), out / "training.png")
    write_report(written, out / PAGE)
    for what, file in (("picture", "training.png"), ("report", PAGE), ("rows", "rows.parquet")):
        console.print(f"{what}: {out / file}", highlight=False, soft_wrap=True)
