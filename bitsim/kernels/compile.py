"""Lazy compilation: numba loads when the first kernel is called, not when bitsim is imported."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Where compiled kernels are kept: BITSIM_CACHE, else the user's cache; None if nothing is writable."""
    import platformdirs

    tag = f"{version('bitsim-accel')}-numba{version('numba')}-py{sys.version_info.major}.{sys.version_info.minor}"
    chosen = os.environ.get("BITSIM_CACHE")
    roots = [Path(chosen)] if chosen else [Path(platformdirs.user_cache_dir("bitsim"))]
    for root in roots:
        folder = root / f"kernels-{tag}"
        if _writable(folder):
            return folder
    return None


def compiled(function: Callable) -> Callable:
    """Compile `function` with numba on its first call (source: the plain function stays at ``.py_func``)."""

    @lru_cache(maxsize=1)
    def dispatcher() -> Any:
        import numba

        folder = cache_folder()
        if folder is None:
            return numba.njit(function)
        numba.config.CACHE_DIR = str(folder)
        return numba.njit(cache=True)(function)

    def call(*args: Any) -> Any:
        return dispatcher()(*args)

    call.py_func = function  # type: ignore[attr-defined]
    call.__doc__ = function.__doc__
    call.__name__ = function.__name__
    return call
