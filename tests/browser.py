"""A browser without a network, as tests of pages use it."""

import importlib.util
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

INSTALL = "apt-get install chromium; pip install '.[browser]'"
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ABSENT = [
    *([] if shutil.which("chromium") else ["chromium"]),
    *([] if importlib.util.find_spec("playwright") else ["playwright"]),
]
needs_browser = pytest.mark.skipif(
    bool(ABSENT) and os.environ.get("BITSIM_REQUIRE_TOOLS") != "1",
    reason=f"{', '.join(ABSENT)} not found: {INSTALL}",
)


@dataclass
class Opened:
    """A page as drawn, and what went wrong on it: messages of its console, uncaught errors, requests it made."""

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def running_browser():
    """Chromium, headless."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(SWITCHES))
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, width=1400, scheme="light"):
    """The page at a path in a window `width` pixels wide, networking off, its figures drawn."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, accept_downloads=True
    )
    result = Opened(context.new_page())
    result.page.on("console", lambda message: result.problems.append(f"{message.type}: {message.text}"))
    result.page.on("pageerror", lambda error: result.problems.append(str(error)))
    result.page.on("request", lambda request: result.requests.append(request.url))
    result.page.goto(path.resolve().as_uri())
    result.page.wait_for_selector("html[data-drawn=true]")
    yield result
    context.close()
