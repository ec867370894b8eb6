"""Lazy compilation: numba loads when the first kernel is called, not when bitsim is imported."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
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

    # Numba looks at the file of a kernel but not at those of the kernels it calls: all sources are in the tag.
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    digest = hashlib.sha256(sources).hexdigest()[:8]
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    tag = f"{version('bitsim-accel')}-{digest}-numba{version('numba')}-{python}"
    chosen = os.environ.get("BITSIM_CACHE")
    roots = [Path(chosen)] if chosen else [Path(platformdirs.user_cache_dir("bitsim"))]
    for root in roots:
        folder = root / f"kernels-{tag}"
        if _writable(folder):
            return folder
    return None


def _roomy(work: Callable, args: tuple[Any, ...]) -> Any:
    """`work` of `args`, with room for all frames of its calls in one piece of memory: see below."""
    return work(*args)


# Python keeps the frames of its calls in pieces of 2,048 words, and maps and unmaps one at every call that crosses from
# a piece to the next.  A compiler calls deep enough to stand at such an edge for long: a quarter of its time went
# there.  A frame this large gets a piece that has as much room again beside it; what is not used is not touched.
_FRAME_WORDS = 65_536
_roomy.__code__ = _roomy.__code__.replace(co_stacksize=_FRAME_WORDS)


class Kernel:
    """A function compiled with numba on its first call; kernels it calls are compiled into it.

    py_func: the function as written, which calls compiled kernels; allocates: whether it makes arrays.
    """

    def __init__(self, function: FunctionType, allocates: bool) -> None:
        self.py_func = function
        self.allocates = allocates
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self._run: Callable = self._compile_and_run

    def __call__(self, *args: Any) -> Any:
        return self._run(*args)

    def _compile_and_run(self, *args: Any) -> Any:
        result = _roomy(self._for_python, args)
        self._run = self._for_python
        return result

    @cached_property
    def plain(self) -> Callable:
        """In plain Python, with all kernels it calls: for so little work that compiling takes longer."""
        return self._linked(lambda kernel: kernel.plain)

    @cached_property
    def _for_python(self) -> Any:
        """Numba's dispatcher, kept on disk."""
        import numba

        folder = cache_folder()
        if folder is not None:
            numba.config.CACHE_DIR = str(folder)
        return self._dispatcher(cache=folder is not None)

    @cached_property
    def _for_kernels(self) -> Any:
        """The same for kernels that call this one: what they compile holds it, and without a door to Python."""
        return self._dispatcher(no_cpython_wrapper=True)

    def _dispatcher(self, **options: bool) -> Any:
        import numba

        if hasattr(numba.core.options.DefaultOptions, "_nrt"):
            options["_nrt"] = self.allocates
        # Kernels divide by what cannot be zero; without checks of it they compile a tenth sooner.
        compiler = numba.njit(error_model="numpy", no_cfunc_wrapper=True, **options)
        return compiler(self._linked(lambda kernel: kernel._for_kernels))

    def _linked(self, called: Callable[[Kernel], Any]) -> FunctionType:
        """The function, with what `called` makes of each kernel it calls."""
        plain = self.py_func
        names = {k: called(v) if isinstance(v, Kernel) else v for k, v in self._globals().items()}
        linked = FunctionType(plain.__code__, plain.__globals__ | names, plain.__name__, plain.__defaults__)
        linked.__module__, linked.__qualname__ = plain.__module__, plain.__qualname__
        return linked

    def _globals(self) -> dict[str, Any]:
        names = self.py_func.__code__.co_names
        return {name: self.py_func.__globals__[name] for name in names if name in self.py_func.__globals__}


def compiled(function: Callable) -> Kernel:
    """Compile `function` with numba on its first call; its source is that of ``.py_func``.

    It writes into arrays it is given and makes none: then numba need not count who holds an array, in atomic steps for
    every row looked at, which took up to two thirds of a kernel's time and a part of compiling it.
    """
    assert isinstance(function, FunctionType)
    return Kernel(function, allocates=False)


def allocating(function: Callable) -> Kernel:
    """`compiled` for what makes arrays of its own."""
    assert isinstance(function, FunctionType)
    return Kernel(function, allocates=True)
