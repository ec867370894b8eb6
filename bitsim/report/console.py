"""The terminal that tables are printed to: names may hold brackets and colons, and are shown as they are."""

from __future__ import annotations

from typing import Any


def plain_console(**options: Any) -> Any:
    """A rich Console without its markup and emoji codes; options: those of Console."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **options)
