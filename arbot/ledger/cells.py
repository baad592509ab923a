"""How a text becomes a cell of a CSV file that people open in a spreadsheet.

Rules of this file:
- Cells are quoted only where RFC 4180 asks for it.
- A text that a spreadsheet would take for a formula gets an apostrophe before it: ids, sources and remarks come from outside.
  Negative numbers stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

FORMULA_SIGNS: Final = frozenset("=+-@\t\r")
_is_number = re.compile(r"-\d+(\.\d+)?").fullmatch


def cell(text: str) -> str:
    """Return the text as one CSV cell."""
    if text[:1] in FORMULA_SIGNS and not _is_number(text):
        text = f"'{text}"
    if '"' in text or "," in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def cells(*texts: str) -> str:
    """Return one CSV row without its end of line."""
    return ",".join(map(cell, texts))
