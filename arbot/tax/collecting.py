"""Garbage collection while a history is gone through.

Rules of this file:
- A pass makes millions of small objects that die as soon as they are written, and none of them is part of a cycle; the
  collector would look through all lots again and again and find nothing: a tenth of the time of a report.
- So it is asked seldom, not never: whatever does make a cycle (a page of the store, an error) is still found.
- Afterwards it is as before.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 200_000  # more made than dropped, before the young ones are looked through


@contextmanager
def collected_seldom() -> Iterator[None]:
    """Let the collector rest for a block, but not sleep."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
