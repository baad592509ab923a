"""Does the guide to taxes explain every code that a report can be refused with?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.reference import ROOT

GUIDES = [ROOT / "docs" / "guide" / name for name in ("tax.md", "tax-us.md", "tax-uk.md", "tax-journal.md")]
CODE = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")
PARENT = "form_1099da"
"""Codes of this family are listed by their ends."""


def codes(path: Path) -> Iterator[str]:
    """Yield the codes of open items and notes that a module writes out, or names in a constant that it makes one of."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants: dict[str, str] = {}
    for node in ast.walk(tree):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            constants[target.id] = value.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("OpenItem") and node.args:
            first = node.args[0]
            text = first.value if isinstance(first, ast.Constant) else constants.get(ast.unparse(first), "")
            if isinstance(text, str) and CODE.fullmatch(text):
                yield text


def test_every_code_of_an_open_item_is_explained() -> None:
    """Name in the guides every code that `--accept` takes."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in GUIDES)
    found = {
        code
        for part in ("ledger", "tax")
        for path in sorted((ROOT / "arbot" / part).rglob("*.py"))
        for code in codes(path)
    }
    told = {code for code in found if f"`{code}`" in text or f"`{code.removeprefix(PARENT)}`" in text}

    assert len(found) > 12
    assert [] == sorted(found - told)
