"""Does the house still have its shape? The import graph, and what a graph cannot see."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbot.market.compiled import KERNELS

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = [*sorted((ROOT / "arbot").rglob("*.py")), *sorted((ROOT / "strategies").rglob("*.py"))]
CORE = [
    p
    for p in PRODUCT
    if p.relative_to(ROOT).parts[:2] in {("arbot", "domain"), ("arbot", "engine"), ("arbot", "ledger")}
]
CORE += [p for p in PRODUCT if p.relative_to(ROOT).parts[0] == "strategies"]
CLOCK = ROOT / "arbot" / "runtime" / "clock.py"
MONEY = (*CORE, *(p for p in PRODUCT if "journal" in p.parts))
CLOCK_CALLS = {
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "dt.datetime.now",
    "datetime.datetime.utcnow", "dt.datetime.utcnow", "dt.date.today", "datetime.date.today",
}  # fmt: skip
FUNCTION_LINES_MAX = 70
LONG_FUNCTIONS: dict[str, int] = {}
"""The ratchet: functions that were longer when the rule was written, and how long. They may only shrink."""


def places(path: Path, found: Iterator[ast.AST]) -> list[str]:
    """Return file:line of each node."""
    return [f"{path.relative_to(ROOT)}:{node.lineno}" for node in found]  # type: ignore[attr-defined]


def tree(path: Path) -> list[ast.AST]:
    """Return every node of a file."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def called(node: ast.AST) -> str:
    """Return the dotted name of what a call calls, or an empty text."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_imports_go_one_way() -> None:
    """Keep every contract of the import graph, exhaustive layers among them."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-4000:]


def test_no_ambient_clock() -> None:
    """Read the clock in runtime/clock.py alone; a line that says `clock-ok:` gives its reason."""
    found = []
    for path in PRODUCT:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in tree(path):
            if called(node) in CLOCK_CALLS and path != CLOCK and "clock-ok:" not in lines[node.lineno - 1]:  # type: ignore[attr-defined]
                found += places(path, iter([node]))

    assert found == []


def test_no_float_on_money() -> None:
    """Keep floats, as calls and as literals, out of the core and the journal."""
    found = []
    for path in MONEY:
        for node in tree(path):
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if literal or called(node) == "float":
                found += places(path, iter([node]))

    assert found == []


def test_core_iterates_no_set() -> None:
    """Iterate no set in the core: its order depends on hashing, and replay must not."""
    found = []
    for path in CORE:
        for node in tree(path):
            if isinstance(node, ast.For | ast.comprehension):
                is_set = isinstance(node.iter, ast.Set | ast.SetComp) or called(node.iter) in {"set", "frozenset"}
                if is_set:
                    found.append(f"{path.relative_to(ROOT)}:{node.iter.lineno}")

    assert found == []


def test_core_has_no_coroutine() -> None:
    """Keep the core plain: nothing in it can wait."""
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = [place for path in CORE for place in places(path, (n for n in tree(path) if isinstance(n, waits)))]

    assert found == []


def test_only_risk_approves() -> None:
    """Build `Approved` in engine/risk only: no order leaves that the rules have not seen."""
    risk = ROOT / "arbot" / "engine" / "risk"
    found = [
        place
        for path in PRODUCT
        if risk not in path.parents
        for place in places(path, (n for n in tree(path) if called(n).split(".")[-1] == "Approved"))
    ]

    assert found == []


def test_no_task_is_dropped() -> None:
    """Start tasks through a group or the supervisor, which hold them; `task-ok:` marks the holders themselves."""
    found = []
    for path in PRODUCT:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in tree(path):
            name = called(node)
            is_bare = name in {"asyncio.create_task", "asyncio.ensure_future", "loop.create_task"}
            if is_bare and "task-ok:" not in lines[node.lineno - 1]:  # type: ignore[attr-defined]
                found += places(path, iter([node]))

    assert found == []


def test_broad_excepts_say_who_is_told() -> None:
    """Give every broad except a comment on its line, or the one above, that says who is told."""
    found = []
    for path in PRODUCT:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in tree(path):
            if not isinstance(node, ast.ExceptHandler):
                continue
            kinds = ast.unparse(node.type) if node.type else "BaseException"
            is_broad = kinds in {"Exception", "BaseException"}
            near = lines[node.lineno - 2 : node.lineno + 1]
            remarks = [line.split("#", 1)[1].strip() for line in near if "#" in line]
            if is_broad and not any(remark and not remark.startswith("noqa") for remark in remarks):
                found += places(path, iter([node]))

    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    """Open every module that holds code with a docstring."""
    found = [
        str(path.relative_to(ROOT))
        for path in PRODUCT
        if path.stat().st_size and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]

    assert found == []


def test_functions_stay_on_one_screen() -> None:
    """Keep functions within the limit; those in the ratchet may only shrink, and leave it once they fit."""
    long = {}
    for path in PRODUCT:
        for node in tree(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    grown = {name: length for name, length in long.items() if length > LONG_FUNCTIONS.get(name, FUNCTION_LINES_MAX)}
    shrunk = [name for name in LONG_FUNCTIONS if name not in long]

    assert grown == {}
    assert shrunk == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_have_hashes_and_no_address(name: str) -> None:
    """Lock every requirement with hashes and name no place to download from."""
    text = (ROOT / name).read_text(encoding="utf-8")
    pinned = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
    addressed = [line for line in text.splitlines() if "://" in line or "index-url" in line or "find-links" in line]

    assert pinned
    assert [line for line in pinned if not line.rstrip().endswith("\\")] == []
    assert addressed == []


def test_every_kernel_is_part_of_the_compile_cache_key() -> None:
    """Name each file outside market that compiles functions, so that no stale machine code is ever run."""
    users = [
        path.relative_to(ROOT / "arbot").as_posix()
        for path in PRODUCT
        if path.is_relative_to(ROOT / "arbot")
        and "market" not in path.relative_to(ROOT).parts
        and "import compiled" in path.read_text(encoding="utf-8")
    ]

    assert sorted(users) == sorted(KERNELS)
