"""A venue that a person, or a service that watches chains, puts into quarantine before the official word, and lets out again."""

from __future__ import annotations

from decimal import Decimal

from arbot.domain.commands import RaiseAlert
from arbot.domain.events import OperatorRequested, StandingRestored, Verb
from arbot.domain.ids import VenueId
from arbot.engine import health
from arbot.engine.config import HealthPolicy
from arbot.journal.codec import decode, encode
from tests.support.engine_world import MS, World, play
from tests.support.transfer_world import TransferWorld

COINBASE = VenueId("coinbase")
QUICK = HealthPolicy(recovery_s=60, probe_s=10)
CHEAP, DEAR = "kraken book bid 100.0x2 ask 100.1x2", "coinbase book bid 101.0x1 ask 101.2x3"
OPENED = "kraken buy 1 @100.1; coinbase sell 1 @101"


def cap(world: World) -> Decimal:
    """Return what share of its caps coinbase has."""
    return health.cap_factor(world.engine.state, COINBASE)


def test_nothing_new_until_it_is_released_and_has_paid_out() -> None:
    """Refuse from the alert on; after the release give back a quarter of the caps per withdrawal that works (Bybit)."""
    world = World(health=QUICK)
    play(
        world,
        f"""
        {CHEAP}
        operator quarantine coinbase       -> coinbase quarantined
        {DEAR}                             -> declined venue_quarantined
        wait 7200s                                                            // well by every measure of its conduct
        coinbase balances
        coinbase balances
        {DEAR}                             -> declined venue_quarantined
        coinbase paid out 1 BTC                                               // not while it is held
        operator release coinbase          -> coinbase let out
        {DEAR}                             -> declined counterparty_share
        wait 1s
        """,
    )
    factors = [cap(world)]
    for _ in range(4):
        world.line("wait 1s")
        world.line("coinbase paid out 1 BTC")
        factors.append(cap(world))

    assert [Decimal(0), Decimal("0.25"), Decimal("0.5"), Decimal("0.75"), Decimal(1)] == factors
    assert OPENED.split("; ") == world.line(DEAR)


def test_who_said_why_is_told() -> None:
    """Name the person and the reason in the alert and in what the status shows."""
    world = World(health=QUICK)
    said = "their cold wallet is being emptied"
    world.give(OperatorRequested(verb=Verb.QUARANTINE, actor="chain watch", reason=said, argument="coinbase"))
    alerts = [one for _, outcome in world.log for one in outcome.commands if isinstance(one, RaiseAlert)]

    assert (f"by hand, chain watch: {said}",) == world.engine.state.health[COINBASE].why
    assert ["caps_shrunk", "venue_quarantined"] == [one.code for one in alerts]
    assert all("by hand" in one.text for one in alerts)


def test_an_open_arb_is_finished() -> None:
    """Unwind where the arb stands, also on the venue that is held: it is closed, not abandoned."""
    play(
        World(health=QUICK),
        f"""
        {CHEAP}
        {DEAR}                             -> {OPENED}
        coinbase filled 1 @101
        operator quarantine coinbase       -> coinbase quarantined
        kraken silent
        wait 2500ms
        kraken rejected other              -> coinbase buy 1 @101.3 unwind
        coinbase filled 1 @101.2           -> flat -0.2
        """,
    )


def test_its_own_conduct_keeps_it_in_after_the_release() -> None:
    """Keep a venue that was also unwell by its own conduct until it has been well for long enough."""
    world = World(health=QUICK)
    play(
        world,
        """
        operator quarantine coinbase       -> coinbase quarantined
        coinbase status down
        coinbase status online
        operator release coinbase
        coinbase balances
        coinbase balances
        wait 30s
        """,
    )
    assert ("released by hand, and not yet well for 60 s",) == world.engine.state.health[COINBASE].why
    assert ["coinbase let out"] == world.line("wait 40s")


def test_a_restart_does_not_release() -> None:
    """Hold a venue after a restart, however well it has been, until somebody releases it."""
    before = World(health=QUICK)
    before.line("operator quarantine coinbase")
    told = decode(encode(before.engine.standing()), StandingRestored)
    world = World(epoch=2, standing=told, now_ns=before.now_ns + 1_000 * MS, health=QUICK)
    play(
        world,
        f"""
        coinbase balances
        coinbase balances
        wait 3600s
        {CHEAP}
        {DEAR}                             -> declined venue_quarantined
        operator release coinbase          -> coinbase let out
        {DEAR}                             -> declined counterparty_share
        """,
    )
    assert cap(world) == 0


def test_what_is_not_ours_or_not_held_changes_nothing() -> None:
    """Take no note of a venue that is not in the config, nor of the release of one that nobody holds."""
    world = World(health=QUICK)
    before = world.engine.digest()
    world.line("operator quarantine bybit")
    world.line("operator release coinbase")

    assert before == world.engine.digest()


def test_money_may_leave_it_and_none_may_go_there() -> None:
    """Refuse a transfer towards a venue that is held, and let one out of it: that is how it earns its caps back."""
    verdicts = []
    for venue in ("coinbase", "kraken"):
        world = TransferWorld()
        world.line(f"operator quarantine {venue}")
        verdicts.append(world.line("ask 1 BTC kraken coinbase bitcoin"))

    assert [["refused venue_quarantined"], ["withdraw 1 from kraken to bc1-ours"]] == verdicts
