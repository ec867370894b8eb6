"""Entry point: builds the commands and turns every failure into the exit status it has."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

import typer

from bitsim.cli import (
    compare_command,
    explain_command,
    hw_commands,
    plot_command,
    report_command,
    reproduce_command,
    run_command,
    sweep_command,
    trace_commands,
)
from bitsim.errors import InputError

BAD_INPUT, INTERNAL_ERROR, INTERRUPTED = 2, 3, 130
STDOUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    name="bitsim",
    help="Cycles and energy of low-precision DNN training on bit-flexible and integer accelerators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(compare_command.demo)
app.command("run")(run_command.run)
app.command("compare")(compare_command.compare)
app.command("sweep")(sweep_command.sweep)
app.command("explain")(explain_command.explain)
app.command("report")(report_command.report)
app.command("plot")(plot_command.plot)
app.add_typer(trace_commands.app, name="trace")
app.add_typer(hw_commands.app, name="hw")
app.add_typer(reproduce_command.app, name="reproduce")


def _version(show: bool) -> None:
    if show:
        from bitsim import __version__

        typer.echo(f"bitsim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: nobody listens
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  (open to the end)
    # Kernels are loops over records that depend on each other: no faster for vector instructions, and a sixth of their
    # compilation is the search for them.  Of the process as a whole, so set by the command and not by the library.
    os.environ.setdefault("NUMBA_LOOP_VECTORIZE", "0")
    try:
        app(args=arguments, standalone_mode=True)
    except InputError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # Files are checked where they are read and written: what is left is a stdout that takes no more.
        if error.errno not in STDOUT_FAILS:
            _report_bug(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"stdout: {error.strerror}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except Exception as error:
        _report_bug(error)


def _report_bug(error: Exception) -> NoReturn:
    with tempfile.NamedTemporaryFile("w", prefix="bitsim-", suffix=".log", delete=False) as log:
        traceback.print_exception(error, file=log)
    print(f"internal error: {type(error).__name__}: {error}\nthis is a bug; the log is {log.name}", file=sys.stderr)
    sys.exit(INTERNAL_ERROR)
