"""How functions are compiled here: with an explicit signature, at import, from a cache that knows all the sources.

numba's own cache looks only at the file of the function it is asked for, so a change in a file it calls into would go
unnoticed. The cache folder is therefore named after a digest of every source file beside this one, and of KERNELS: the
files elsewhere that compile functions, of which some take functions or numbers from others.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types

_config: Any = numba.config
_F = TypeVar("_F", bound=Callable[..., Any])


KERNELS = (
    "backtest/sweep_kernel.py",
    "tape/checks.py",
    "tape/generate_kernel.py",
    "tape/importing/numbers.py",
    "tape/inspect/depth_walk.py",
    "tape/inspect/histogram.py",
    "tape/inspect/states.py",
    "tape/inspect/touch.py",
    "tape/merge.py",
    "venues/coinbase/book_frames.py",
    "venues/kraken/book_frames.py",
)


def _cache_folder() -> str:
    """Return where compiled code is kept: the first writable of NUMBA_CACHE_DIR, beside the sources, the user's cache.

    With none of them writable it is a temporary folder. Where one that may only be read has been filled already (a
    container's image), what is in it is copied; else every start of a new machine compiles anew.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in [*sorted(here.glob("*.py")), *(here.parent / name for name in KERNELS)]:
        digest.update(source.read_bytes())
    told = os.environ.get("NUMBA_CACHE_DIR")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "arbot"
    wanted = [*([Path(told)] if told else []), here / "__pycache__", user]
    base = next((folder for folder in wanted if _is_writable(folder)), Path(tempfile.gettempdir()) / "arbot")
    kept = base / f"kernels-{digest.hexdigest()[:16]}-{sys.implementation.cache_tag}"
    filled = next((folder / kept.name for folder in wanted if (folder / kept.name).is_dir()), None)
    if filled is not None and not kept.exists():
        _copy(filled, kept)
    return str(kept)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder in one move: another process may be doing the same. numba takes no folder that it cannot write to."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    shutil.copytree(source, draft, dirs_exist_ok=True)
    try:
        draft.rename(target)
    except OSError:  # it is there by now
        shutil.rmtree(draft)


def _is_writable(folder: Path) -> bool:
    """Return whether a folder can be written to, or made."""
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)


CACHE_FOLDER = _cache_folder()


def uniform(kind: types.Type, count: int) -> Any:
    """Return the type of a tuple of `count` values of one kind."""
    return types.UniTuple(kind, count)  # type: ignore[no-untyped-call]


def compiled(signature: Any, *, inline: bool = False) -> Callable[[_F], _F]:
    """Compile a function for one signature now, or load it from the cache; `inline` makes it a part of its callers.

    A call costs some nanoseconds, which is much where a whole level takes thirty: inline what runs for every row.

    Compiled code checks neither indexes nor integer overflow: callers guarantee both.
    """

    def wrap(function: _F) -> _F:
        kept, _config.CACHE_DIR = _config.CACHE_DIR, CACHE_FOLDER
        try:
            jitted: _F = numba.njit(
                signature,
                cache=True,
                error_model="numpy",
                boundscheck=False,
                forceinline=inline,
            )(function)
        finally:
            _config.CACHE_DIR = kept
        return jitted

    return wrap
