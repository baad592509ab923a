"""Label values are closed sets: those the catalogue names are those the parts that count them use."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Mapping
from pathlib import Path

import ccxt.async_support as ccxt
import pytest

import arbot.venues
from arbot.observe import logs
from arbot.observe.catalogue import words
from arbot.venues import ccxt_terms, endpoints, rest
from arbot.venues.codec import FIRST, DropReason, ResyncReason

VENUES = Path(arbot.venues.__file__).parent


def texts_in(*files: str) -> set[str]:
    """Return every text constant of these modules."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse((VENUES / file).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def names_of(paths: Mapping[str, object]) -> set[str]:
    """Return every path in ccxt's own description of an exchange: what stands under a method of HTTP."""
    return {
        name
        for key, value in paths.items()
        if isinstance(value, dict)
        for name in (value if key in ("get", "post") else names_of(value))
    }


def test_reasons_and_answers_are_those_of_the_venues():
    """What streams, books and requests count under is what the catalogue lists, and nothing else."""
    assert (FIRST, *DropReason) == words.CONNECT_REASONS
    assert tuple(ResyncReason) == words.RESYNC_REASONS
    assert {rest.LIMITED, rest.TIMEOUT, rest.LOST} < set(words.ANSWERS)
    assert logs.LEVELS == words.LOG_LEVELS
    assert tuple(str(age) for age in range(len(gc.get_stats()))) == words.GENERATIONS
    groups = {*endpoints.KRAKEN.values(), *endpoints.CCXT.values(), *(group for _, group in endpoints.COINBASE)}
    assert set(words.ENDPOINTS) == groups


def test_every_path_asked_of_kraken_has_a_group():
    """Of the paths that ccxt knows of Kraken, those our code names are in the table, and the table has no others."""
    known = names_of(ccxt.kraken().describe()["api"])
    assert texts_in("kraken/gateway.py", "kraken/treasury.py") & known == set(endpoints.KRAKEN)
    assert endpoints.kraken_group("https://h/0/private/AddOrder") == endpoints.ORDERS
    assert endpoints.kraken_group("https://h/0/public/Invented") == endpoints.OTHER


def test_every_path_asked_of_coinbase_has_a_group():
    """Each path that our code builds falls into a group by its beginning."""
    paths = re.findall(r'f"\{BASE\}(/[^"]*)"', (VENUES / "coinbase/gateway.py").read_text())
    assert len(paths) > 8
    for path in paths:
        assert endpoints.coinbase_group(f"https://h/api/v3/brokerage{path}") != endpoints.OTHER, path
    assert endpoints.coinbase_group("https://h/v2/accounts/1/transactions?limit=1") == endpoints.TRANSFERS
    assert endpoints.coinbase_group("https://h/api/v3/invented") == endpoints.OTHER


def test_every_unified_call_has_a_group():
    """Each of ccxt's calls that our code names is in the table."""
    calls = {
        text
        for text in texts_in("ccxt_venue.py", "ccxt_treasury.py", "ccxt_terms.py")
        if re.fullmatch(r"(fetch|create|cancel|load)_[a-z_]+|withdraw", text) and hasattr(ccxt.Exchange, text)
    }
    own = {method for method, _ in ccxt_terms.NETWORK_LISTS.values()}
    assert len(calls) > 15
    assert calls | own == set(endpoints.CCXT)


@pytest.mark.parametrize("values", [words.ENDPOINTS, words.ANSWERS, words.CONNECT_REASONS, words.RESYNC_REASONS])
def test_no_label_value_stands_twice(values: tuple[str, ...]):
    """A closed set has each value once."""
    assert len(values) == len(set(values))
