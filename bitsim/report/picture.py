"""Pictures as papers need them: one column wide, fonts embedded, told apart without colour, the same bytes each time.

Sizes are those of a two-column paper: 85 mm wide, text of 7 points where it is printed.  Colours are Okabe and Ito's
("Color Universal Design", 2008); whatever a colour tells, a dash, a marker or a hatching tells too.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitsim.errors import InputError
from bitsim.report.whole_file import write_bytes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY = "0.6"
COLUMN_MM = 85.0
MM_PER_INCH = 25.4
DOTS_PER_INCH = 300
FORMS = ("pdf", "svg", "png")

_TEXT_POINTS = 7.0
_SMALL_POINTS = 6.0
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a picture does not depend on the system's fonts
    "font.size": _TEXT_POINTS,
    "axes.titlesize": _TEXT_POINTS,
    "axes.labelsize": _TEXT_POINTS,
    "xtick.labelsize": _SMALL_POINTS,
    "ytick.labelsize": _SMALL_POINTS,
    "legend.fontsize": _SMALL_POINTS,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "patch.linewidth": 0.4,
    "hatch.linewidth": 0.4,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
}
# Text stays text, embedded as TrueType in a PDF; element names in an SVG are not random.
_FILE: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "bitsim"}
_NO_DATES: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


@contextmanager
def paper_style() -> Iterator[None]:
    """Text and line sizes of a column, whatever matplotlibrc the user has."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def column_figure(height_mm: float) -> Any:
    """An empty matplotlib figure one column wide; draw in it within `paper_style`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(COLUMN_MM / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def picture_form(path: Path) -> str:
    """png, svg or pdf by the suffix, png without one.  InputError for any other."""
    form = path.suffix.lstrip(".").lower() or "png"
    if form not in FORMS:
        raise InputError(f"{path}: {form}: not a form of picture, allowed: {', '.join(FORMS)}")
    return form


def save_figure(figure: Any, path: Path, dots_per_inch: int = DOTS_PER_INCH) -> None:
    """Write a matplotlib figure, its form by suffix (png, svg, pdf; none: png), whole or not at all.

    The same figure gives the same bytes.  InputError if the form is unknown or the file cannot be written.
    """
    import matplotlib

    form = picture_form(path)
    image = io.BytesIO()
    with matplotlib.rc_context(_FILE):
        figure.savefig(image, format=form, dpi=dots_per_inch, metadata=_NO_DATES[form])
    write_bytes(path, image.getvalue())
