"""bitsim report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bitsim.errors import InputError


def report(
    result_dir: Annotated[Path, typer.Argument(help="Folder that --out of run, compare or demo wrote.")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page to write (default: report.html in the folder).")
    ] = None,
) -> None:
    """One HTML page, with everything it needs inside, of what RESULT_DIR holds."""
    from bitsim.report.html import PAGE, write_report
    from bitsim.report.result_folder import read_folder
    from bitsim.report.verdict import verdict

    page = html if html is not None else result_dir / PAGE
    if page.is_dir():
        raise InputError(f"--html {page}: is a folder, allowed: a file")
    folder = read_folder(result_dir)
    write_report(folder, page)
    typer.echo(f"{verdict(folder).headline}\nreport: {page}")
