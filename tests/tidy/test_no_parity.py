"""Is a dollar coin taken for a dollar anywhere? What a coin is worth comes from live books, or it is not known.

Looked for in the product: comparisons with a coin's name, lists and calls that put two monies of one peg side by side,
tables that turn one into the other, and rates of one. A line that says `parity-ok:` gives its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.test_architecture import PRODUCT, ROOT

PEGGED = {
    "USD": {"USDT", "USDC", "DAI", "BUSD", "TUSD", "USDP", "FDUSD", "PYUSD", "GUSD", "USDE", "USDD", "FRAX", "RLUSD", "UST"},
    "EUR": {"EURC", "EURT", "EURS"},
}  # fmt: skip
COINS = set().union(*PEGGED.values())
PEG_OF = {coin: peg for peg, coins in PEGGED.items() for coin in coins} | {peg: peg for peg in PEGGED}
ONES = {"1", "1.0", "ONE", "Decimal(1)", "Decimal('1')", "Decimal('1.0')", "Decimal('1.00')"}


def name(node: ast.AST | None) -> str:
    """Return the money a constant names (also inside Asset(...)), or an empty text."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Asset" and node.args:
        return name(node.args[0])
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text.upper() if text.upper() in PEG_OF else ""


def is_alike(nodes: list[ast.AST]) -> bool:
    """Return whether two different monies of one peg are named side by side."""
    named = {name(node) for node in nodes} - {""}
    pegs = [PEG_OF[one] for one in named]
    return any(pegs.count(peg) > 1 for peg in set(pegs))


def equates(node: ast.AST) -> bool:
    """Return whether a piece of code takes one money for another, or for one."""
    match node:
        case ast.Compare():
            return any(name(one) in COINS for one in (node.left, *node.comparators))
        case ast.Dict():
            worth_one = any(
                name(key) in COINS and ast.unparse(value) in ONES
                for key, value in zip(node.keys, node.values, strict=True)
            )
            turned = any(
                name(key) and name(value) and name(key) != name(value)
                for key, value in zip(node.keys, node.values, strict=True)
            )
            return worth_one or turned
        case ast.Set() | ast.List() | ast.Tuple():
            return is_alike(list(node.elts))
        case ast.Call():
            return is_alike(list(node.args))
    return False


def parities(text: str) -> Iterator[int]:
    """Yield the lines of a module where that happens without a reason given."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if equates(node):
            span = range(node.lineno - 1, node.end_lineno or node.lineno)  # type: ignore[attr-defined]
            if not any("parity-ok:" in lines[number] for number in span):
                yield node.lineno  # type: ignore[attr-defined]


def found(path: Path) -> list[str]:
    """Return file:line of each."""
    return [f"{path.relative_to(ROOT)}:{line}" for line in parities(path.read_text(encoding="utf-8"))]


def test_no_parity_is_assumed() -> None:
    """Take no coin for its peg, nor for another coin, anywhere in the product."""
    assert [place for path in PRODUCT for place in found(path)] == []


@pytest.mark.parametrize(
    "code",
    [
        'quote == "USDT"',
        'asset in ("USD", "USDC")',
        'DOLLARS = {"USD", "USDT"}',
        'RATES = {"USDC": Decimal(1)}',
        'ALIKE = {"USDT": "USD"}',
        'symbol.replace("USDT", "USD")',
        'rate = {Asset("DAI"): ONE}',
    ],
)
def test_it_would_be_found(code: str) -> None:
    """Find each way of doing it."""
    assert len(list(parities(code))) > 0


@pytest.mark.parametrize(
    "code", ['ccy: str = "USD"', '{"USDT": 8, "USD": 4}', 'x = "USDT"', '{"USD": 1}', 'a == "BTC"']
)
def test_other_code_is_left_alone(code: str) -> None:
    """Find nothing in code that names money and assumes nothing."""
    assert list(parities(code)) == []
