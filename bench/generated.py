"""Tables that end a page of docs/, behind a mark that says which command made them."""

from __future__ import annotations

import sys
from pathlib import Path


def print_or_put(text: str, mark: str) -> None:
    """Print the text or, where the command was given a page, put it behind the mark of that page."""
    if len(sys.argv) == 1:
        print(text, end="")
    else:
        page = Path(sys.argv[1])
        page.write_text(page.read_text().partition(mark)[0] + mark + "\n" + text)
