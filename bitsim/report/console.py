"""The terminal that tables are printed to: names of files and layers may hold brackets and colons, and stay as they are."""

from __future__ import annotations

from typing import Any


def plain_console(**options: Any) -> Any:
    """A rich Console without its markup and emoji codes; options: those of Console."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **options)
