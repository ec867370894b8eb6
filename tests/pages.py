"""Fenced blocks of the pages in docs/, for the tests that run what the pages say."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
_FENCE = re.compile(r"^```(\w+)(?: (?:title=)?\"?([\w./-]+)\"?)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(page):
    """(language, title or empty, text) of every fenced block of a page, in order."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))
