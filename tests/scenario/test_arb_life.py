"""What the product does, in tables a trader can read. Fees are 10 bps a side unless a line says otherwise."""

from __future__ import annotations

import pytest

from arbot.engine.config import ExecutionPolicy, RiskLimits
from tests.support.engine_world import World, play

OPEN = """
kraken   book bid 100.0x2 ask 100.1x2
coinbase book bid 101.0x1 ask 101.2x3     -> kraken buy 1 @100.1; coinbase sell 1 @101
"""

TABLES = {
    "both legs fill and the arb is flat": """
kraken   filled 1 @100.1 fee 0.1001 USD
coinbase filled 1 @101.0 fee 0.1010 USD   -> flat 0.6989
""",
    "a rejected second leg is tried again there first, then unwound where the first filled": """
kraken   filled 1 @100.1 fee 0.1001 USD
coinbase rejected insufficient_funds      -> coinbase sell 1 @100.9 hedge
coinbase rejected insufficient_funds      -> kraken sell 1 @99.9 unwind
kraken   filled 1 @100.0 fee 0.1 USD      -> flat -0.3001
""",
    "a venue that says its market is closed gets no hedge and no further arb": """
kraken   filled 1 @100.1
coinbase rejected market_closed           -> kraken sell 1 @99.9 unwind; refused instrument_closed
kraken   filled 1 @100.0                  -> flat -0.1
wait 2s
coinbase book bid 101.0x1 ask 101.2x3     -> declined instrument_closed
""",
    "a partial second leg is completed on the second venue": """
kraken   filled 1 @100.1
coinbase filled 0.4 @101.0
coinbase expired                          -> coinbase sell 0.6 @100.9 hedge
coinbase filled 0.6 @101.0                -> flat 0.9
""",
    "nothing filled is a missed arb": """
kraken   expired
coinbase expired                          -> missed
""",
    "a leg without an answer is asked about, and nothing is hedged for the part in doubt": """
kraken   filled 1 @100.1
coinbase unknown                          -> coinbase query
coinbase reported filled 1                -> coinbase query
coinbase filled 1 @101.0                  -> flat 0.9
""",
    "absence is no evidence while the venue may still show the order": """
kraken   filled 1 @100.1
coinbase unknown                          -> coinbase query
coinbase absent
coinbase absent
coinbase absent
""",
    "two absences after the deadline and the visibility lag end an order that never arrived": """
kraken   filled 1 @100.1
coinbase unknown                          -> coinbase query
wait 2s                                   -> coinbase query; coinbase query; coinbase query
wait 12s                                  -> coinbase query; coinbase query; coinbase query
coinbase absent
coinbase absent                           -> coinbase sell 1 @100.9 hedge
coinbase filled 1 @101.0                  -> flat 0.9
""",
    "the same fill twice is booked once": """
kraken   filled 1 @100.1
kraken   again
coinbase filled 1 @101.0                  -> flat 0.9
coinbase again
""",
    "a fill before the acceptance is booked, the acceptance changes nothing": """
kraken   filled 1 @100.1
kraken   accepted
coinbase filled 1 @101.0                  -> flat 0.9
""",
    "a cancel that overtakes its fills waits for them": """
kraken   filled 1 @100.1
coinbase reported canceled 0.4            -> coinbase query
coinbase filled 0.4 @101.0                -> coinbase sell 0.6 @100.9 hedge
""",
    "a fee taken in base counts in the residual and what no venue takes is carried": """
kraken   filled 1 @100.1 fee 0.001 BTC
coinbase filled 1 @101.0                  -> flat 0.7994 carry -0.001
""",
    "a fill after the end reopens the arb and is worked off": """
kraken   expired
coinbase expired                          -> missed
coinbase filled 1 @101.0                  -> kraken buy 1 @100.2 hedge; orphan
""",
    "a fill that the venue takes back under its own id reopens the arb": """
kraken   filled 1 @100.1
coinbase filled 1 @101.0                  -> flat 0.9
coinbase busted                           -> coinbase sell 1 @100.9 hedge; orphan
coinbase busted
coinbase filled 1 @101.0                  -> flat 0.9
""",
    "an order past its deadline is canceled and asked about": """
kraken   filled 1 @100.1
coinbase accepted
wait 3s                                   -> coinbase cancel; coinbase query
""",
    "halt cancels everything and leaves the residual to a person": """
kraken   filled 1 @100.1
operator halt                             -> kraken cancel all; coinbase cancel all
coinbase canceled                         -> stranded 1
operator flatten                          -> coinbase sell 1 @100.9 flatten
coinbase filled 1 @101.0                  -> flat 0.9
""",
    "kill stops even hedges": """
kraken   filled 1 @100.1
operator kill                             -> kraken cancel all; coinbase cancel all
coinbase canceled                         -> stranded 1
""",
    "drain finishes what is open, then stops": """
operator drain
kraken   filled 1 @100.1
coinbase rejected other                   -> coinbase sell 1 @100.9 hedge
coinbase filled 1 @101.0                  -> kraken cancel all; coinbase cancel all; stop: drained; flat 0.9
""",
    "no new arb while one is at work on the same books": """
kraken   book bid 100.0x2 ask 100.1x2     -> declined cool_down
kraken   filled 1 @100.1
coinbase filled 1 @101.0                  -> flat 0.9
kraken   book bid 100.0x2 ask 100.1x2     -> declined cool_down
wait 501ms
kraken   book bid 100.0x2 ask 100.1x2     -> kraken buy 1 @100.1; coinbase sell 1 @101
""",
    "when the hedging tries are spent the arb is stranded and nothing new opens": """
kraken   filled 1 @100.1
coinbase rejected other                   -> coinbase sell 1 @100.9 hedge
coinbase rejected other                   -> kraken sell 1 @99.9 unwind
kraken   rejected other                   -> coinbase sell 1 @100.9 hedge
coinbase rejected other                   -> kraken sell 1 @99.9 unwind
kraken   rejected other                   -> stranded 1
kraken   book bid 100.0x2 ask 100.1x2     -> declined stranded
""",
    "when no book can be trusted the residual waits, then the seconds run out": """
kraken   filled 1 @100.1
kraken   silent
coinbase silent
wait 3s                                   -> coinbase query
coinbase expired
wait 19s
wait 2s                                   -> stranded 1
""",
    "a residual goes back to the first venue when the second has moved beyond the price cap": """
kraken   filled 1 @100.1
coinbase book bid 99.0x5 ask 99.1x5       -> declined cool_down
coinbase expired                          -> kraken sell 1 @99.9 unwind
kraken   filled 1 @100.0                  -> flat -0.1
""",
    "an unwind that would lose more than the limit is refused and the arb is stranded in time": """
kraken   filled 1 @100.1
kraken   book bid 40.0x5 ask 41.0x5       -> declined too_good_to_be_true
coinbase book bid 40.0x5 ask 41.0x5
coinbase expired                          -> refused hedge_loss
wait 20s                                  -> {many refused}
""",
    "an order the venue took is not ended by a late rejection": """
coinbase accepted
coinbase rejected other                   -> coinbase query
""",
}


@pytest.mark.parametrize("claim", TABLES)
def test_arb_life(claim: str) -> None:
    """Hold every claim of the table after an arb of 1 BTC was opened."""
    table = TABLES[claim]
    world = World()
    play(world, OPEN)
    if "{many refused}" in table:
        play(world, table.split("wait 20s")[0])
        words = world.wait("21s")
        assert (set(words), words[-1]) == ({"refused hedge_loss", "stranded 1"}, "stranded 1")
    else:
        play(world, table)


def test_third_venue_takes_the_residual() -> None:
    """A residual that the second venue refuses goes to a third before it is unwound."""
    world = World(("kraken", "coinbase", "bitstamp"), limits=RiskLimits(arbs_open_max=1))
    play(
        world,
        """
bitstamp book bid 100.9x1 ask 101.3x1
kraken   book bid 100.0x2 ask 100.1x2     -> kraken buy 1 @100.1; bitstamp sell 1 @100.9
kraken   filled 1 @100.1
coinbase book bid 100.9x5 ask 101.2x3     -> declined arbs_open
bitstamp rejected other                   -> bitstamp sell 1 @100.8 hedge
bitstamp rejected other                   -> coinbase sell 1 @100.8 hedge
coinbase filled 1 @100.9                  -> flat 0.8
""",
    )


def test_residuals_are_carried_and_flushed_together() -> None:
    """Sub-minimum residuals add up until some venue takes them, then they are worked off."""
    world = World(execution=ExecutionPolicy(cool_down_ms=1))
    for turn in range(2):
        play(
            world,
            """
kraken   book bid 100.0x2 ask 100.1x2
coinbase book bid 101.0x1 ask 101.2x3     -> kraken buy 1 @100.1; coinbase sell 1 @101
kraken   filled 1 @100.1 fee 0.06 BTC
""".replace("kraken   book bid 100.0x2 ask 100.1x2\n", "" if turn else "kraken   book bid 100.0x2 ask 100.1x2\n"),
        )
        words = world.line("coinbase filled 1 @101.0")
        world.wait("2ms")
    assert words == ["kraken buy 0.1 @100.2 flush", "flat -5.133 carry -0.06"]
    assert world.line("kraken filled 0.1 @100.1") == ["flush flat 0 carry -0.02"]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (RiskLimits(notional_per_arb_max=5), "notional_per_arb"),
        (RiskLimits(inventory_notional_max=1001), "inventory"),
        (RiskLimits(net_delta_notional_max=9), "net_delta"),
    ],
)
def test_caps_decline_when_less_than_a_minimum_is_left(limits: RiskLimits, reason: str) -> None:
    """A cap that leaves less than the venues' minimum declines with its own name."""
    world = World(limits=limits)
    world.line("kraken book bid 100.0x2 ask 100.1x2")
    assert world.line("coinbase book bid 101.0x1 ask 101.2x3") == [f"declined {reason}"]
