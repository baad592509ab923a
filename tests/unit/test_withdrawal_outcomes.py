"""What answers to a withdrawal mean: taken only when named, refused only in listed words, unknown otherwise."""

import json
from decimal import Decimal

import ccxt.async_support as ccxt
import pytest

from arbot.domain.errors import InvariantBroken
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import Network, TransferId, TransferIntent
from arbot.venues import ccxt_treasury
from arbot.venues.ccxt_transport import Record
from arbot.venues.coinbase.treasury import classify_send, idem_of, send_fields, verify_send
from arbot.venues.kraken.treasury import classify_withdraw, status_report, verify_withdrawal
from arbot.venues.outcome import Unknown
from arbot.venues.rest import Answer, Lost, Request
from arbot.venues.withdrawal import UNKNOWN_NETWORK, NetworkNames, Refused, SentOnce, Taken

D = Decimal
INTENT = TransferIntent(
    transfer=TransferId("3-t7"),
    source=VenueId("kraken"),
    target=VenueId("coinbase"),
    asset=Asset("BTC"),
    network=Network("bitcoin"),
    address="bc1qours",
    key="cb-btc",
    qty=D("0.5"),
    fee_max=D("0.001"),
    requested_ts_ns=1_795_313_388_000_000_000,
    actor="test",
)


def replaced(**changes):
    """Return the intent with other fields."""
    facts = {name: getattr(INTENT, name) for name in INTENT.__struct_fields__}
    return TransferIntent(**(facts | changes))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"error": [], "result": {"refid": "FTQcuak-V6Za8"}}, Taken),
        (200, {"error": ["WGeneral:Danger"], "result": {"refid": "FTQcuak-V6Za8"}}, Taken),
        (200, {"error": ["EFunding:Unknown withdraw key"]}, Refused),
        (200, {"error": ["EFunding:Max fee exceeded"]}, Refused),
        (200, {"error": ["EGeneral:Invalid arguments:amount"]}, Refused),
        (200, {"error": ["EAPI:Invalid nonce"]}, Refused),
        (200, {"error": ["EFunding:Something new"]}, Unknown),
        (200, {"error": ["EService:Unavailable"]}, Unknown),
        (200, {"error": ["EService:Busy"]}, Unknown),
        (200, {"error": ["EGeneral:Internal error"]}, Unknown),
        (200, {"error": ["EFunding:Unknown withdraw key", "EService:Busy"]}, Unknown),
        (200, {"error": ["EFunding:Unknown withdraw key"], "result": {"refid": "X"}}, Unknown),
        (200, {"error": [], "result": {}}, Unknown),
        (200, {"error": [], "result": {"refid": ""}}, Unknown),
        (200, {"result": {"refid": "X"}}, Unknown),
        (502, {"error": ["EFunding:Unknown withdraw key"]}, Unknown),
        (200, "<html>", Unknown),
    ],
)
def test_krakens_answers(status, body, kind):
    """Kraken's success names a refid, its refusals are listed, and errors of its service prove nothing."""
    payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert kind is type(classify_withdraw(status, payload))


def transaction(**changes):
    """Return Coinbase's answer to our send."""
    data = {
        "id": "a1794ecf",
        "type": "send",
        "status": "pending",
        "amount": {"amount": "-0.5001", "currency": "BTC"},
        "to": {"resource": "bitcoin_address", "address": "bc1qours"},
        "idem": idem_of(INTENT),
    }
    return {"data": data | changes}


def error(identity, message="no"):
    """Return Coinbase's refusal."""
    return {"errors": [{"id": identity, "message": message}]}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, transaction(), Taken),
        (200, transaction(idem=idem_of(INTENT)), Taken),
        (201, transaction(id=""), Unknown),
        (201, transaction(amount={"amount": "-0.4", "currency": "BTC"}), Unknown),
        (201, transaction(amount={"amount": "-0.5001", "currency": "ETH"}), Unknown),
        (201, transaction(to={"address": "bc1qsomebody"}), Unknown),
        (201, transaction(idem="another"), Unknown),
        (201, transaction(type="transfer"), Unknown),
        (201, {"data": None}, Unknown),
        (400, error("validation_error", "You don't have that much."), Refused),
        (400, error("validation_error", "idem has been used already"), Unknown),
        (402, error("two_factor_required"), Refused),
        (403, error("invalid_scope"), Refused),
        (429, error("rate_limit_exceeded"), Refused),
        (400, error("something_new"), Unknown),
        (500, error("internal_server_error"), Unknown),
        (503, error("validation_error"), Unknown),
        (400, {"errors": []}, Unknown),
        (502, "<html>", Unknown),
    ],
)
def test_coinbases_answers(status, body, kind):
    """A transaction has to be about our amount, address and idem; a refusal has to be listed for its status."""
    payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert kind is type(classify_send(status, payload, INTENT, idem_of(INTENT)))


def test_the_same_number_in_a_new_store_has_another_idem():
    """A store begun anew counts from one again: a repeated number alone must not find the transaction of long ago."""
    assert idem_of(INTENT) == idem_of(replaced())
    changes = ({"requested_ts_ns": 1}, {"qty": D("0.6")}, {"address": "bc1qother"}, {"tag": "1"}, {"transfer": "3-t8"})
    assert 1 + len(changes) == len({idem_of(INTENT), *(idem_of(replaced(**change)) for change in changes)})


def record(*replies):
    """Return what one transmission left behind."""
    kept = Record(None)
    kept.sent = [Request("POST", "http://127.0.0.1/", {})] * len(replies)
    kept.replies = list(replies)
    return kept


JSON = Answer(400, b'{"status": "error"}')


@pytest.mark.parametrize(
    ("replies", "raised", "kind"),
    [
        ((JSON,), ccxt.InsufficientFunds("no"), Refused),
        ((JSON,), ccxt.InvalidAddress("no"), Refused),
        ((JSON,), ccxt.ExchangeError("no"), Unknown),
        ((JSON,), ccxt.ExchangeNotAvailable("no"), Unknown),
        ((Answer(502, b"{}"),), ccxt.InsufficientFunds("no"), Unknown),
        ((Answer(400, b"<html>"),), ccxt.InsufficientFunds("no"), Unknown),
        ((Lost("cut"),), ccxt.ExchangeNotAvailable("no"), Unknown),
        ((JSON, JSON), ccxt.InsufficientFunds("no"), Unknown),
        ((), ccxt.ArgumentsRequired("no"), Refused),
    ],
)
def test_ccxts_errors(replies, raised, kind):
    """The class of ccxt's error counts only with a complete answer to one transmission; before any, nothing was sent."""
    assert kind is type(ccxt_treasury.classify_error(record(*replies), raised))


def test_ccxts_results():
    """A result without an id is unknown, unless the raw answer has it under the exchange's own key."""
    answered = record(Answer(200, b'{"withdrawal_id": 7}'))
    assert Taken("9") == ccxt_treasury.classify_row(answered, {"id": "9"}, "id")
    assert Taken("7") == ccxt_treasury.classify_row(answered, {"id": None}, "withdrawal_id")
    assert isinstance(ccxt_treasury.classify_row(answered, {"id": None}, "id"), Unknown)
    assert isinstance(ccxt_treasury.classify_row(record(Lost("cut")), {"id": "9"}, "id"), Unknown)


def test_bytes_that_are_not_the_intent_never_leave():
    """Another address, amount, key or tag in the bytes about to leave stops everything."""
    fields = {"asset": "XXBT", "key": "cb-btc", "address": "bc1qours", "amount": "0.5002", "max_fee": "0.0002"}
    body = b"nonce=1&asset=XXBT&key=cb-btc&address=bc1qours&amount=0.5002&max_fee=0.0002"
    verify_withdrawal(Request("POST", "", {}, body), fields, INTENT)
    for old, new in ((b"bc1qours", b"bc1qother"), (b"0.5002", b"5.002"), (b"cb-btc", b"other"), (b"0.0002", b"0.02")):
        with pytest.raises(InvariantBroken):
            verify_withdrawal(Request("POST", "", {}, body.replace(old, new, 1)), fields, INTENT)
    tagged = replaced(tag="77")
    sent = send_fields(tagged, "bitcoin")
    verify_send(Request("POST", "", {}, json.dumps(sent).encode()), sent, tagged)
    with pytest.raises(InvariantBroken):
        verify_send(Request("POST", "", {}, json.dumps(sent | {"amount": "5"}).encode()), sent, tagged)
    form = b"amount=0.5&address=bc1qours&tag=77"
    ccxt_treasury.verify_withdrawal(Request("POST", "http://h/", {}, form), tagged, D("0.5"))
    with pytest.raises(InvariantBroken):
        ccxt_treasury.verify_withdrawal(
            Request("POST", "http://h/", {}, form.replace(b"&tag=77", b"")), tagged, D("0.5")
        )


def test_names_of_networks_go_both_ways():
    """Case does not count, and a name that the registry does not list is unknown, never guessed."""
    names = NetworkNames({Network("bitcoin"): "Bitcoin"})
    assert ("bitcoin", "Bitcoin") == (names.ours("BITCOIN"), names.theirs(Network("bitcoin")))
    assert (UNKNOWN_NETWORK, UNKNOWN_NETWORK, "") == (
        names.ours("Tron"),
        names.ours(None),
        names.theirs(Network("tron")),
    )


def test_a_transfer_leaves_once():
    """After it was marked as sent, the same transfer is answered and not sent."""
    sent = SentOnce()
    assert sent.refusal(INTENT) is None
    sent.mark(INTENT)
    assert isinstance(sent.refusal(INTENT), Unknown)
    assert sent.refusal(replaced(transfer=TransferId("3-t8"))) is None


def test_an_unknown_status_word_counts_as_down():
    """A word of Kraken's that nobody knows is not taken for open."""
    assert ["online", "maintenance", "down"] == [
        str(status_report(VenueId("kraken"), word).status) for word in ("online", "maintenance", "holiday")
    ]
