"""Does the strategy say what is wrong with its parameters, and what a quote is worth?"""

from __future__ import annotations

import pytest

from strategies.maker_taker import MakerTaker


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"edge": "1"}, "edge"),
        ({"edge_net_bps_min": "0"}, "edge_net_bps_min"),
        ({"notional": "-1"}, "notional"),
        ({"sides": "bid"}, "sides"),
        ({"look_ms": "1.5"}, "look_ms"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, object], named: str) -> None:
    """Refuse what cannot be meant, by its name."""
    with pytest.raises(ValueError, match=named):
        MakerTaker(params)


def test_the_defaults_stand() -> None:
    """Need no parameter at all."""
    made = MakerTaker({})

    assert (made.edge_net_bps_min, made.look_ms) == (2, 100)
