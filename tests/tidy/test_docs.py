"""Do the docs still say what the code does?"""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.engine_world import World
from tests.support.reference import PARTS, ROOT, rendered

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("part", PARTS)
def test_generated_parts_are_fresh(part: str) -> None:
    """Equal what the code would write now; `python -m tests.support.reference` mends it."""
    _, text, wanted = rendered(part)

    assert wanted == text


def test_links_between_files_lead_somewhere() -> None:
    """Point every relative link of the docs at a file that exists."""
    dead = [
        f"{path.relative_to(ROOT)} -> {target}"
        for path in DOCS
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]

    assert dead == []


def test_every_code_of_a_finding_is_explained() -> None:
    """Name in the guide to data every code that an import or the inspector gives a finding."""
    guide = (ROOT / "docs" / "guide" / "data.md").read_text(encoding="utf-8")
    codes = {
        code for path in (ROOT / "arbot" / "tape").rglob("*.py") for code in codes_in(path.read_text(encoding="utf-8"))
    }

    assert len(codes) > 15
    assert [] == sorted(code for code in codes if f"| `{code}` |" not in guide)


def codes_in(source: str) -> set[str]:
    """Return the codes that a module writes out: `code="..."`, or the first word given to a tally or a `Fault`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            words = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            words += node.args[:1] if name in {"note", "_note", "Fault"} else []
            found |= {word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    return found


def test_the_strategy_in_the_guide_runs() -> None:
    """Load the guide's own strategy into an engine and see it trade, and see its parameter hold it back."""
    text = (ROOT / "docs" / "guide" / "strategies.md").read_text(encoding="utf-8")
    source = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert source
    space: dict[str, object] = {}
    exec(compile(source[1], "strategies.md", "exec"), space)  # noqa: S102 - our own guide
    for times, expected in (("2", ["kraken buy 1 @100.1", "coinbase sell 1 @101"]), ("3", [])):
        world = World()
        world.engine._strategy = space["strategy"]({"exit_depth_times": times})  # type: ignore[operator]
        world.line("kraken book bid 100.0x2 ask 100.1x2")

        assert expected == world.line("coinbase book bid 101.0x1 ask 101.2x3")


def test_the_words_of_the_glossary_are_used() -> None:
    """Name no class or function after a word that the glossary replaces."""
    wrong = re.compile(r"^\s*(?:class|def)\s+\w*(exchange|broker|ticker|position)\w*", re.MULTILINE | re.IGNORECASE)
    found = []
    for path in sorted((ROOT / "arbot").rglob("*.py")):
        if {"wire", "importing"} & set(path.parts) or path.name == "wire.py":
            continue  # the words of venues and of vendors' files
        found += [f"{path.relative_to(ROOT)}: {m[0].strip()}" for m in wrong.finditer(path.read_text(encoding="utf-8"))]
    found = [one for one in found if not one.endswith("def no_exchange_time")]  # the code of a finding

    assert found == []
