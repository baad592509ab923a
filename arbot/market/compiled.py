"""How functions are compiled here: with an explicit signature, at import, from a cache that knows all the sources.

numba's own cache looks only at the file of the function it is asked for, so a change in a file it calls into would go
unnoticed. The cache folder is therefore named after a digest of every source file beside this one.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def _cache_folder() -> str:
    """Return where compiled code is kept: beside the sources, or in the user's cache when they are read-only."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        digest.update(source.read_bytes())
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or here / "__pycache__")
    writable = base if base.is_dir() else base.parent
    if not os.access(writable, os.W_OK):
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "arbot"
    return str(base / f"kernels-{digest.hexdigest()[:16]}-{sys.implementation.cache_tag}")


CACHE_FOLDER = _cache_folder()


def compiled(signature: Any) -> Callable[[_F], _F]:
    """Compile a function for one signature now, or load it from the cache.

    Compiled code checks neither indexes nor integer overflow: callers guarantee both.
    """

    def wrap(function: _F) -> _F:
        kept, numba.config.CACHE_DIR = numba.config.CACHE_DIR, CACHE_FOLDER
        try:
            jitted: _F = numba.njit(
                signature,
                cache=True,
                error_model="numpy",
                boundscheck=False,
            )(function)
        finally:
            numba.config.CACHE_DIR = kept
        return jitted

    return wrap
