"""The treasury's ends of the gateways against pretend venues that send money to each other in their real protocols."""

from decimal import Decimal

import pytest

from arbot.domain.errors import VenueRefused
from arbot.domain.events import MovementState, TransferAccepted, TransferOutcomeUnknown, TransferRejected
from arbot.domain.transfer import Network, VenueStatus
from tests.support.treasury_world import ADDRESSES, BITCOIN, BTC, treasury_world

D = Decimal
HALF = D("0.5")


async def test_money_goes_from_kraken_to_coinbase():
    """What was asked for arrives to the last satoshi, and both histories tell of the same transaction."""
    async with treasury_world() as at:
        source, target = at.total("kraken"), at.total("coinbase")
        (event,) = await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        assert isinstance(event, TransferAccepted)
        deposit = await at.reported("coinbase", deposits=True, state=MovementState.DONE)
        withdrawal = await at.reported("kraken", deposits=False, state=MovementState.DONE)
        assert (withdrawal.transfer_id, withdrawal.qty, withdrawal.fee) == (
            event.venue_transfer_id,
            -HALF,
            D("0.0002"),
        )
        assert (deposit.qty, deposit.fee) == (HALF, D(0))
        assert deposit.tx_id == withdrawal.tx_id != ""
        assert {BITCOIN} == {deposit.network, withdrawal.network}
        assert ADDRESSES["coinbase"] == withdrawal.address
        assert (source - D("0.5002"), target + HALF) == (at.total("kraken"), at.total("coinbase"))
        at.server.truth()


@pytest.mark.parametrize(
    ("source", "target"), [("coinbase", "kraken"), ("bitstamp", "coinbase"), ("kraken", "bitstamp")]
)
async def test_every_adapter_sends_and_receives(source, target):
    """Between any two adapters a withdrawal is named, and its deposit is booked in full."""
    async with treasury_world(source, target) as at:
        before = at.total(target)
        (event,) = await at.gateways[source].withdraw(at.approved(source, target))
        assert isinstance(event, TransferAccepted)
        deposit = await at.reported(target, deposits=True, state=MovementState.DONE)
        withdrawal = await at.reported(source, deposits=False, state=MovementState.DONE)
        assert (HALF, -HALF) == (deposit.qty, withdrawal.qty)
        assert event.venue_transfer_id == withdrawal.transfer_id
        assert before + HALF == at.total(target)


@pytest.mark.parametrize("name", ["kraken", "coinbase", "bitstamp"])
async def test_addresses_are_those_of_the_venue(name):
    """A deposit address is the venue's own, and a network that it does not know is refused."""
    async with treasury_world(name) as at:
        gateway = at.gateways[name]
        assert ADDRESSES[name] == (await gateway.fetch_deposit_address(BTC, BITCOIN)).address
        with pytest.raises(VenueRefused):
            await gateway.fetch_deposit_address(BTC, Network("lightning"))


async def test_a_rotated_address_is_another():
    """Once an address has been rotated, asking again tells the new one, and what goes to the old one is lost."""
    async with treasury_world() as at:
        at.arm("address-rotated:venue=coinbase")
        await at.clock.sleep(0.05)
        told = await at.gateways["coinbase"].fetch_deposit_address(BTC, BITCOIN)
        assert f"{ADDRESSES['coinbase']}-1" == told.address
        (event,) = await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        assert isinstance(event, TransferAccepted)
        await at.clock.sleep(0.5)
        assert ["lost"] == [passage["fate"] for passage in at.server.truth()["passages"]]


async def test_networks_tell_what_is_known():
    """Kraken tells fee and minimum where a key is registered; Coinbase and Bitstamp do not tell fees, and say so."""
    async with treasury_world("kraken", "coinbase", "bitstamp") as at:
        told = {name: (await gateway.fetch_networks((BTC,))).networks for name, gateway in at.gateways.items()}
        (kraken,), (coinbase,), (bitstamp,) = told["kraken"], told["coinbase"], told["bitstamp"]
        assert (True, True, D("0.0002"), D("0.0001"), True) == (
            kraken.can_deposit,
            kraken.can_withdraw,
            kraken.fee,
            kraken.qty_min,
            kraken.is_told,
        )
        assert [(True, True, False)] * 2 == [
            (one.can_deposit, one.can_withdraw, one.is_told) for one in (coinbase, bitstamp)
        ]
        assert {BITCOIN} == {kraken.network, coinbase.network, bitstamp.network}


@pytest.mark.parametrize("name", ["kraken", "coinbase", "bitstamp"])
async def test_a_closed_wallet_is_seen(name):
    """A wallet that takes nothing and pays nothing says so, and a withdrawal from it is refused or unknown, never taken."""
    async with treasury_world(name) as at:
        at.arm("wallet-closed:asset=BTC")
        await at.clock.sleep(0.05)
        networks = (await at.gateways[name].fetch_networks((BTC,))).networks
        assert not any(one.can_deposit or one.can_withdraw for one in networks)
        other = "coinbase" if name == "kraken" else "kraken"
        (event,) = await at.gateways[name].withdraw(at.approved(name, other))
        assert isinstance(event, TransferRejected | TransferOutcomeUnknown)
        assert 0 == at.sent(name)


async def test_frozen_withdrawals_show_at_kraken():
    """While withdrawals stand still there is no way out, and deposits go on."""
    async with treasury_world("kraken") as at:
        at.arm("withdrawals-frozen")
        await at.clock.sleep(0.05)
        networks = (await at.gateways["kraken"].fetch_networks((BTC,))).networks
        assert [(True, False)] == [(one.can_deposit, one.can_withdraw) for one in networks]


async def test_status():
    """Kraken tells of its maintenance; venues without a status call are online and say why."""
    async with treasury_world("kraken", "coinbase", "bitstamp") as at:
        found = {name: await gateway.fetch_status() for name, gateway in at.gateways.items()}
        assert {VenueStatus.ONLINE} == {one.status for one in found.values()}
        at.arm("maintenance:at_ms=0,ms=0")
        await at.clock.sleep(0.05)
        assert VenueStatus.MAINTENANCE is (await at.gateways["kraken"].fetch_status()).status
        assert "no status call" in (await at.gateways["coinbase"].fetch_status()).detail


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key": "elsewhere"}, "address"),
        ({"key": "nobody"}, "0 registered addresses"),
        ({"key": "unproved"}, "verified"),
        ({"key": ""}, "registered keys only"),
        ({"network": Network("tron")}, "network"),
        ({"tag": "123"}, "tag"),
        ({"address": "bc1-rotated"}, "address"),
        ({"fee_max": D("0.0001")}, "above the limit"),
    ],
)
async def test_kraken_is_not_asked_for_what_is_not_exactly_meant(changes, told):
    """Another address, network or tag behind the key, a key that is not verified, or too high a fee: nothing is sent."""
    async with treasury_world("kraken") as at:
        (event,) = await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase", **changes))
        assert isinstance(event, TransferRejected)
        assert told in event.detail
        assert 0 == at.sent("kraken")


async def test_more_than_there_is_is_refused():
    """A withdrawal beyond the balance is a definite refusal where the venue's words are listed."""
    async with treasury_world() as at:
        for source, target in (("kraken", "coinbase"), ("coinbase", "kraken")):
            (event,) = await at.gateways[source].withdraw(at.approved(source, target, qty=D(50)))
            assert isinstance(event, TransferRejected), source
            assert 0 == at.sent(source)


@pytest.mark.parametrize("source", ["kraken", "coinbase", "bitstamp"])
@pytest.mark.parametrize("fault", ["withdraw-timeout", "withdraw-502", "withdraw-cut"])
async def test_an_answer_that_never_comes_is_unknown_and_nothing_is_sent_twice(source, fault):
    """The venue has taken it: we do not know, a repetition is not carried out, and the history shows exactly one."""
    target = "coinbase" if source != "coinbase" else "kraken"
    async with treasury_world(source, target) as at:
        await at.gateways[source].load_instruments()
        at.arm(f"{fault}:venue={source}")
        approved = at.approved(source, target)
        first, again = [(await at.gateways[source].withdraw(approved))[0] for _ in range(2)]
        assert isinstance(first, TransferOutcomeUnknown)
        assert isinstance(again, TransferOutcomeUnknown)
        assert "not sent again" in again.detail
        assert 1 == at.sent(source)
        found = await at.reported(source, deposits=False, state=MovementState.DONE)
        assert (-HALF, ADDRESSES[target]) == (found.qty, found.address or ADDRESSES[target])


async def test_a_request_that_was_lost_is_unknown_too():
    """A request that never arrived looks the same to us; the venue's history stays empty."""
    async with treasury_world() as at:
        at.arm("withdraw-lost")
        (event,) = await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        assert isinstance(event, TransferOutcomeUnknown)
        assert (0, ()) == (at.sent("kraken"), await at.gateways["kraken"].fetch_transfers(0))


async def test_coinbase_returns_the_first_transaction_for_the_same_idem():
    """After a restart the same intent has the same idem, so even another process cannot send it twice."""
    async with treasury_world() as at:
        approved = at.approved("coinbase", "kraken")
        gateway = at.gateways["coinbase"]
        (first,) = await gateway.withdraw(approved)
        gateway._treasury._sent._sent.clear()  # as a new process would be
        (second,) = await gateway.withdraw(approved)
        assert first == second
        assert 1 == at.sent("coinbase")


@pytest.mark.parametrize(
    ("fault", "states"),
    [
        ("credit-less", [D("0.25")]),
        ("credit-twice:ms=600000", [HALF, HALF]),
        ("txid-replaced", [HALF]),
    ],
)
async def test_what_arrives_wrong_is_told(fault, states):
    """Half of it, twice of it, or under another transaction: the target's history says what happened."""
    async with treasury_world(speed=20_000) as at:
        at.arm(fault)
        await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        await at.reported("coinbase", deposits=True, state=MovementState.DONE)
        deposits = [one for one in await at.gateways["coinbase"].fetch_transfers(0) if one.qty > 0]
        assert states == [one.qty for one in deposits]
        withdrawal = await at.reported("kraken", deposits=False, state=MovementState.DONE)
        assert {withdrawal.tx_id} == {one.tx_id for one in deposits}
        at.server.truth()


async def test_a_second_credit_is_taken_back():
    """A deposit credited twice loses one of the two again, and the books still hold."""
    async with treasury_world() as at:
        before = at.total("coinbase")
        at.arm("credit-twice:ms=300")
        await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        await at.reported("coinbase", deposits=True, state=MovementState.FAILED)
        assert before + HALF == at.total("coinbase")
        at.server.truth()


async def test_a_returned_withdrawal_has_failed():
    """What comes back to its source is a failed withdrawal whose money is there again."""
    async with treasury_world() as at:
        before = at.total("kraken")
        at.arm("transfer-returned")
        await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        await at.reported("kraken", deposits=False, state=MovementState.FAILED)
        assert before == at.total("kraken")


async def test_a_stuck_transfer_stays_under_way():
    """A transaction that is never confirmed stays pending at its source and unseen at its target."""
    async with treasury_world() as at:
        at.arm("transfer-stuck")
        await at.gateways["kraken"].withdraw(at.approved("kraken", "coinbase"))
        await at.clock.sleep(0.7)
        (withdrawal,) = await at.gateways["kraken"].fetch_transfers(0)
        assert MovementState.PENDING is withdrawal.state
        assert withdrawal.tx_id
        assert () == await at.gateways["coinbase"].fetch_transfers(0)
