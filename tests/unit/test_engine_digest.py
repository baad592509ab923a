"""The digest of an engine: what it knows decides, and not how a number came to be."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.units import Amount
from arbot.engine.canonical import canonical
from tests.support.engine_world import World

MONEY = ("realised_day", "realised_total", "realised_peak")


@pytest.mark.parametrize("name", MONEY)
def test_zeros_at_the_end_of_a_sum_do_not_matter(name: str) -> None:
    """A replay adds the same profits up to the same number; that it may spell it with one zero less is no divergence."""
    told = []
    for number in ("11.71665486070", "11.7166548607", "11.7166548608"):
        world = World(("kraken", "coinbase"))
        setattr(world.engine.state.standing, name, Decimal(number))
        told.append(world.engine.digest())

    assert told[0] == told[1]
    assert told[0] != told[2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1.50"), "1.5"),
        (Decimal("0E-9"), "0"),
        (Amount(Decimal("2.0"), "BTC"), "Amount(number=2, asset='BTC')"),
        ((Decimal("1.0"), ("a", None, True)), "(1, ('a', None, True))"),
        ((), "()"),
    ],
)
def test_equal_values_are_written_alike(value: object, expected: str) -> None:
    """Numbers lose the zeros at their end wherever they stand; everything else is written as it is."""
    assert expected == canonical(value)
