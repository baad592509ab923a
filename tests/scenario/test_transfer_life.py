"""What becomes of money under way, fault by fault: refused before it leaves, or detected, and counted once throughout."""

from __future__ import annotations

from decimal import Decimal

import pytest

from arbot.domain.transfer import TransferState
from tests.support.engine_world import play
from tests.support.transfer_world import FEE, TransferWorld, allowed, policy

BEGUN = """
ask 1 BTC kraken coinbase bitcoin  -> withdraw 1 from kraken to bc1-ours
sent                               ->
accepted W1                        -> requested > accepted
"""

LIVES = {
    "all goes well": """
kraken withdrawal W1 1 fee 0.001 pending          ->
kraken withdrawal W1 1 fee 0.001 pending tx X     -> accepted > broadcast
kraken withdrawal W1 1 fee 0.001 done tx X        -> broadcast > confirmed
wait 30min                                        ->
coinbase deposit D1 1 pending tx X                ->
coinbase deposit D1 1 done tx X                   -> confirmed > credited
wait 48h                                          ->
""",
    "credited before the source says anything": """
coinbase deposit D1 1 done to bc1-ours            -> accepted > credited
kraken withdrawal W1 1 fee 0.001 done tx X        ->
""",
    "a hidden fee within what is allowed is named": """
kraken withdrawal W1 1 fee 0.001 done tx X        -> accepted > confirmed
coinbase deposit D1 0.9995 done tx X              -> alert transfer_fee_hidden; confirmed > credited
""",
    "half of it does not arrive: the rest stays in flight": """
kraken withdrawal W1 1 fee 0.001 done tx X        -> accepted > confirmed
coinbase deposit D1 0.5 done tx X                 -> alert transfer_short; confirmed > stuck
coinbase deposit D2 0.5 done tx X                 -> stuck > credited
""",
    "half of it arrives before the source has named its transaction: it is matched when that is told": """
coinbase deposit D1 0.5 pending tx X              ->
coinbase deposit D1 0.5 done tx X                 ->
coinbase holds BTC 10.5 USD 10000                 ->
kraken withdrawal W1 1 fee 0.001 pending          ->
kraken withdrawal W1 1 fee 0.001 pending tx X     -> alert transfer_short; accepted > broadcast; broadcast > stuck
coinbase deposit D2 0.5 done tx X                 -> stuck > credited
""",
    "somebody else's half is not taken for it once the source has named its transaction": """
coinbase deposit D1 0.5 done tx Q                 ->
kraken withdrawal W1 1 fee 0.001 pending tx X     -> accepted > broadcast
coinbase deposit D2 1 done tx X                   -> broadcast > credited
""",
    "nor when it turns out to have come in another deposit": """
coinbase deposit D1 0.5 done tx Q                 ->
coinbase deposit D2 1 done tx X to bc1-ours       -> accepted > credited
kraken withdrawal W1 1 fee 0.001 done tx X        ->
""",
    "more is taken for it than was allowed": """
kraken withdrawal W1 1 fee 0.002 done tx X        -> alert transfer_fee_above; accepted > confirmed
""",
    "credited twice, one taken back": """
kraken withdrawal W1 1 fee 0.001 done tx X        -> accepted > confirmed
coinbase deposit D1 1 done tx X                   -> confirmed > credited
coinbase deposit D2 1 done tx X                   -> alert transfer_credited_twice
coinbase deposit D2 1 failed tx X                 -> alert transfer_reversed
""",
    "the credit is undone by a reorganisation, and comes again": """
kraken withdrawal W1 1 fee 0.001 done tx X        -> accepted > confirmed
coinbase deposit D1 1 done tx X                   -> confirmed > credited
coinbase deposit D1 1 failed tx X                 -> alert transfer_doubt; credited > stuck
coinbase deposit D9 1 done tx X                   -> stuck > credited
""",
    "its transaction is replaced by another": """
kraken withdrawal W1 1 fee 0.001 pending tx X     -> accepted > broadcast
kraken withdrawal W1 1 fee 0.001 pending tx Y     -> alert transfer_tx_replaced
coinbase deposit D1 1 done tx Y                   -> broadcast > credited
""",
    "its transaction is replaced and only the target says so": """
kraken withdrawal W1 1 fee 0.001 pending tx X     -> accepted > broadcast
coinbase deposit D1 1 done tx Y to bc1-ours       -> broadcast > credited
""",
    "failed at the source: the money is back": """
kraken withdrawal W1 1 fee 0.001 pending          ->
kraken withdrawal W1 1 fee 0.001 failed           -> alert transfer_returned; accepted > failed
""",
    "it comes back to its source as a deposit": """
kraken withdrawal W1 1 fee 0.001 done tx X        -> accepted > confirmed
kraken deposit D7 1 done tx X                     -> alert transfer_returned; confirmed > failed
""",
    "called failed, and under way after all": """
kraken withdrawal W1 1 fee 0.001 failed           -> alert transfer_returned; accepted > failed
kraken withdrawal W1 1 fee 0.001 done tx X        -> alert transfer_doubt; failed > stuck
coinbase deposit D1 1 done tx X                   -> stuck > credited
""",
    "never arrives: stuck at the quantile, and it goes on when news comes": """
kraken withdrawal W1 1 fee 0.001 pending tx X     -> accepted > broadcast
wait 479min                                       ->
wait 2min                                         -> alert transfer_overdue; broadcast > stuck
wait 48h                                          ->
kraken withdrawal W1 1 fee 0.001 pending tx X     ->
kraken withdrawal W1 1 fee 0.001 done tx X        -> alert transfer_moves; stuck > confirmed
coinbase deposit D1 1 done tx X                   -> confirmed > credited
""",
    "somebody else's movements change nothing": """
kraken withdrawal Z1 3 fee 0.001 done tx Q        ->
coinbase deposit Z2 3 done tx Q                   ->
coinbase deposit Z3 1 done to somebody-else       ->
""",
}


@pytest.mark.parametrize("life", LIVES)
def test_a_transfer_lives_by_what_venues_say(life: str) -> None:
    """Come to the end that the histories of both venues prove, and to no other."""
    play(TransferWorld(), BEGUN + LIVES[life])


def test_an_unknown_request_is_looked_for_and_never_sent_again() -> None:
    """Ask both ends for their history again and again, and recognise the withdrawal by what was intended."""
    world = TransferWorld()
    play(
        world,
        """
ask 1 BTC kraken coinbase bitcoin key K           -> withdraw 1 from kraken to bc1-ours
sent                                              ->
unknown                                           -> alert transfer_unknown; requested > unknown
ask 1 BTC kraken coinbase bitcoin key K           -> refused transfer_repeated
ask 2 BTC kraken coinbase bitcoin key L           -> refused transfer_repeated
wait 65s                                          ->
kraken withdrawal Z7 0.2 fee 0.001 pending        ->
kraken withdrawal W7 1 fee 0.001 pending to else  ->
kraken withdrawal W8 1 fee 0.001 pending          -> unknown > accepted
coinbase deposit D1 1 done to bc1-ours            -> accepted > credited
ask 1 BTC kraken coinbase bitcoin key K           -> refused transfer_repeated
""",
    )

    assert 1 == len(world.submitted)
    assert {"kraken", "coinbase"} == set(world.asked)


def test_a_definite_refusal_of_the_source_ends_it() -> None:
    """Fail it, count nothing in flight, and let the next request through."""
    world = TransferWorld()
    play(
        world,
        """
ask 1 BTC kraken coinbase bitcoin key K           -> withdraw 1 from kraken to bc1-ours
sent                                              ->
rejected                                          -> alert transfer_rejected; requested > failed
ask 1 BTC kraken coinbase bitcoin key L           -> withdraw 1 from kraken to bc1-ours
rejected address_changed                          -> alert address_changed; requested > failed
""",
    )

    assert Decimal(20) == world.counted()


def test_a_person_may_end_what_never_began() -> None:
    """Take a person's word for a transfer that no history has, and not for one that has an id."""
    never, named = TransferWorld(), TransferWorld()
    for world in (never, named):
        play(world, "ask 1 BTC kraken coinbase bitcoin -> withdraw 1 from kraken to bc1-ours\nsent ->")
        world.line("wait 9h")
    named.line("kraken withdrawal W1 1 fee 0.001 pending")

    assert ["alert closed_by_hand", "stuck > failed"] == never.line("rejected closed_by_hand")
    assert ["alert transfer_doubt"] == named.line("rejected closed_by_hand")


def test_a_stuck_transfer_stops_what_depends_on_it() -> None:
    """Keep its worth counted, open no arb that needs that way, begin no transfer of the coin; trade the other way."""
    world = TransferWorld(policy(allowed(network="swift")))
    play(
        world,
        """
kraken network swift fee 0.001 min 0.01                 ->
coinbase network swift fee 0.001 min 0.01               ->
ask 1 BTC kraken coinbase swift                         -> withdraw 1 from kraken to bc1-ours
sent                                                    ->
accepted W1                                             -> requested > accepted
kraken withdrawal W1 1 fee 0.001 pending tx X over swift -> accepted > broadcast
wait 21min                                              -> alert transfer_overdue; broadcast > stuck
ask 1 BTC kraken coinbase swift                         -> refused transfer_overdue 0.9909 of 0.99
kraken book bid 100.0x2 ask 100.1x2                     ->
coinbase book bid 101.0x1 ask 101.2x3                   -> declined transfer_overdue
coinbase book bid 100.1x2 ask 100.2x2                   ->
kraken book bid 101.2x1 ask 101.3x2                     -> coinbase buy 1 @100.2; kraken sell 1 @101.2
""",
    )

    assert TransferState.STUCK is world.transfer.state
    assert Decimal(1) == world.transfer.qty


REFUSALS = {
    "transfers are off": (TransferWorld, {"transfers": policy(enabled=False)}, "transfers_off"),
    "no such entry": (TransferWorld, {"transfers": policy(allowed("kraken"))}, "not_allow_listed 0 of 1"),
    "another network is listed": (
        TransferWorld,
        {"transfers": policy(allowed(network="lightning"))},
        "network_mismatch 0 of 1",
    ),
    "two entries for one place": (
        TransferWorld,
        {"transfers": policy(allowed(), allowed())},
        "not_allow_listed 2 of 1",
    ),
    "venues said nothing of networks": (TransferWorld, {"networks": False}, "terms_unknown -1 of 60"),
    "more under way than a network may hold": (
        TransferWorld,
        {"transfers": policy(transit_network_max=Decimal(90))},
        "transit_value 108.67 of 90",
    ),
    "more under way than all may hold": (
        TransferWorld,
        {"transfers": policy(transit_total_max=Decimal(90))},
        "transit_value 108.67 of 90",
    ),
    "a second yes is needed": (
        TransferWorld,
        {"transfers": policy(confirm_above=Decimal(99))},
        "confirmation_needed 100 of 99",
    ),
    "not reconciled": (TransferWorld, {"reconciled": False}, "not_reconciled"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_rule_refuses_with_its_numbers(case: str) -> None:
    """Refuse with exactly this reason and send nothing."""
    make, arguments, words = REFUSALS[case]
    world = make(**arguments)

    assert [f"refused {words}"] == world.line("ask 1 BTC kraken coinbase bitcoin")
    assert [] == world.submitted


AFTER = {
    "killed": ("operator kill", "killed"),
    "paused": ("operator pause", "paused"),
    "source closed": ("kraken network bitcoin fee 0.001 min 0.01 shut", "withdrawals_closed"),
    "target closed": ("coinbase network bitcoin fee 0.001 min 0.01 deaf", "deposits_closed"),
    "source has other networks only": ("kraken network lightning fee 0.001 min 0.01", "network_mismatch"),
    "target has other networks only": ("coinbase network tron fee 0.001 min 0.01", "network_mismatch"),
    "the fee is not told": ("kraken network bitcoin fee 0.001 min 0.01 mute", "terms_unknown"),
    "below the source's minimum": ("kraken network bitcoin fee 0.001 min 1.5", "below_minimum 1 of 1.5"),
    "below the target's minimum": ("coinbase network bitcoin fee 0 min 1.5", "below_minimum 1 of 1.5"),
    "the fee of a jam": ("kraken network bitcoin fee 0.0031 min 0.01", "network_fee 0.0031 of 0.003"),
    "the balance is short by the fee": ("kraken holds BTC 1 USD 10000", "balance_short 1 of 1.0015"),
    "old word of the networks": ("wait 62min", "terms_unknown 62 of 60"),
}


@pytest.mark.parametrize("case", AFTER)
def test_what_has_happened_refuses(case: str) -> None:
    """Refuse for what the venue or a person said last."""
    world = TransferWorld()
    line, words = AFTER[case]
    world.line(line)

    assert [f"refused {words}"] == world.line("ask 1 BTC kraken coinbase bitcoin")


def test_a_missing_tag_refuses() -> None:
    """Refuse a network that needs a tag when the allow list has none; with one it goes out, tag and all."""
    bare, tagged = allowed(network="ripple"), allowed(network="ripple", tag="777")
    verdicts = []
    for entry in (bare, tagged):
        world = TransferWorld(policy(entry))
        for venue in ("kraken", "coinbase"):
            world.line(f"{venue} network ripple fee 0.001 min 0.01")
        verdicts.append(world.line("ask 1 BTC kraken coinbase ripple"))

    assert [["refused tag_missing"], ["withdraw 1 from kraken to bc1-ours"]] == verdicts
    assert "777" == world.submitted[0].tag


def test_a_large_one_takes_two_steps() -> None:
    """Confirmed at once is not confirmed; the same request again is, for a quarter of an hour and these terms only."""
    world = TransferWorld(policy(confirm_above=Decimal(50)))
    play(
        world,
        """
ask 1 BTC kraken coinbase bitcoin key K confirmed -> refused confirmation_needed 100 of 50
ask 2 BTC kraken coinbase bitcoin key K confirmed -> refused confirmation_needed 200 of 50
ask 1 BTC kraken coinbase bitcoin key K confirmed -> refused confirmation_needed 100 of 50
wait 16min                                        ->
ask 1 BTC kraken coinbase bitcoin key K confirmed -> refused confirmation_needed 100 of 50
ask 1 BTC kraken coinbase bitcoin key K confirmed -> withdraw 1 from kraken to bc1-ours
""",
    )


MUTE = "kraken network bitcoin fee 0 min 0 mute"


def granted(fee_max: str) -> TransferWorld:
    """Return a world whose list grants a fee on the way to coinbase, and whose Kraken tells none (it never did)."""
    entry = allowed(fee_max=Decimal(fee_max))  # type: ignore[arg-type]
    world = TransferWorld(policy(entry), networks=False)
    for line in (MUTE, "coinbase network bitcoin fee 0 min 0.01"):
        world.line(line)
    return world


def test_a_granted_fee_lets_a_source_send_that_tells_none() -> None:
    """Allow exactly what the list grants, book what was taken, and call a person when that was more."""
    world = granted("0.0004")
    assert ["withdraw 1 from kraken to bc1-ours"] == world.line("ask 1 BTC kraken coinbase bitcoin")
    assert Decimal("0.0004") == world.submitted[-1].fee_max
    world.line("sent")
    said = world.line("kraken withdrawal W1 1 fee 0.0006 done tx X")

    assert "alert transfer_fee_above" in said
    assert Decimal("0.0006") == world.transfer.fee_paid
    assert ["refused balance_short 1 of 1.0004"] == [
        *world.line("coinbase deposit D1 1 done tx X"), *world.line("kraken holds BTC 1 USD 10000"),
        *world.line("ask 1 BTC kraken coinbase bitcoin"),
    ][-1:]  # fmt: skip


def test_a_fee_is_learned_from_our_own_transfers_only() -> None:
    """Refuse a source that tells no fee until one transfer has shown it; then allow half as much again."""
    world = granted("0")
    assert ["refused terms_unknown"] == world.line("ask 1 BTC kraken coinbase bitcoin")
    for line in (f"kraken network bitcoin fee {FEE} min 0", "ask 1 BTC kraken coinbase bitcoin", "sent", MUTE):
        world.line(line)
    world.line("kraken withdrawal W1 1 fee 0 pending tx X")
    assert "refused terms_unknown" in world.line("ask 1 BTC kraken coinbase bitcoin")
    world.line("kraken withdrawal W1 1 fee 0.0008 done tx X")
    world.line("coinbase deposit D1 1 done tx X")
    fee_max = Decimal("0.0012")

    assert ["withdraw 1 from kraken to bc1-ours"] == world.line("ask 1 BTC kraken coinbase bitcoin")
    assert fee_max == world.submitted[-1].fee_max
    world.line("sent")
    world.line("kraken withdrawal W2 1 fee 0.0012 done tx Y")
    world.line("kraken withdrawal W2 1 fee 0.0012 done tx Y")
    assert [Decimal("0.001")] == [one.fee for one in world.engine.standing().network_fees if one.is_paid]


def test_a_source_that_tells_its_fee_is_held_to_that() -> None:
    """Take no grant for a fee where the source says what it takes."""
    world = granted("5")
    world.line(f"kraken network bitcoin fee {FEE} min 0.01")
    world.line("ask 1 BTC kraken coinbase bitcoin")

    assert Decimal(FEE) * Decimal("1.5") == world.submitted[-1].fee_max
