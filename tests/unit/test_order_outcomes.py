"""What answers to order entry mean: every row of the two venues' tables."""

import json

import pytest

from arbot.domain.events import RejectCode
from arbot.venues.coinbase import outcome as coinbase
from arbot.venues.kraken import outcome as kraken
from arbot.venues.outcome import Accepted, Rejected, Unknown

NAME = "ab0001000001000"


def k(*errors, result=None):
    answer = {"error": list(errors)}
    return json.dumps(answer if result is None else {**answer, "result": result}).encode()


KRAKEN_OK = k(result={"descr": {"order": "buy 0.5 XBTUSD @ limit 65010.3"}, "txid": ["OQ7YTR-4KD2A-XP55LM"]})

KRAKEN_REJECTS = {
    "EOrder:Insufficient funds": RejectCode.INSUFFICIENT_FUNDS,
    "EOrder:Order minimum not met": RejectCode.BELOW_MINIMUM,
    "EOrder:Cost minimum not met": RejectCode.BELOW_MINIMUM,
    "EOrder:Tick size check failed": RejectCode.INVALID_STEP,
    "EOrder:Invalid price": RejectCode.INVALID_PRICE,
    "EOrder:Post only order": RejectCode.POST_ONLY_WOULD_TAKE,
    "EOrder:Orders limit exceeded": RejectCode.OTHER,
    "EOrder:Margin allowance exceeded": RejectCode.OTHER,
    "EQuery:Unknown asset pair": RejectCode.MARKET_CLOSED,
    "EAPI:Bad request": RejectCode.OTHER,
    "EGeneral:Unknown method": RejectCode.OTHER,
    "EOrder:Invalid order": RejectCode.OTHER,
    "EGeneral:Invalid arguments:volume minimum not met": RejectCode.BELOW_MINIMUM,
    "EGeneral:Invalid arguments": RejectCode.OTHER,
    "EOrder:Rate limit exceeded": RejectCode.RATE_LIMITED,
    "EAPI:Rate limit exceeded": RejectCode.RATE_LIMITED,
    "EGeneral:Temporary lockout": RejectCode.RATE_LIMITED,
    "EAPI:Invalid key": RejectCode.KEY_REFUSED,
    "EAPI:Invalid signature": RejectCode.KEY_REFUSED,
    "EGeneral:Permission denied": RejectCode.KEY_REFUSED,
    "EAuth:Account temporary disabled": RejectCode.KEY_REFUSED,
    "ETrade:User Locked": RejectCode.KEY_REFUSED,
    "EAPI:Invalid nonce": RejectCode.OTHER,
    "EService:Market in cancel_only mode": RejectCode.MARKET_CLOSED,
    "EService:Market in post_only mode": RejectCode.MARKET_CLOSED,
    "EService:Market in limit_only mode": RejectCode.MARKET_CLOSED,
}

KRAKEN_UNKNOWN_TEXTS = (
    "EGeneral:Invalid arguments:cl_ord_id",
    "EOrder:Duplicate cl_ord_id",
    "EOrder:cl_ord_id already in use",
    "EService:Unavailable",
    "EService:Busy",
    "EGeneral:Internal error",
    "EDatabase:Internal error",
    "EService:Timeout",
    "EService:Throttled",
    "EService:Deadline elapsed",
    "WOrder:Something odd",
    "EOrder:A text of next year",
    "eorder:insufficient funds",
    "",
)

BROKEN_BODIES = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"0",
    b"<html>502 Bad Gateway</html>",
    b'{"error":[],"result":{"txid":["OQ7Y',
    b"\xff\xfe\x00",
    b"[" * 5000,
    b'{"error":[]}',
    b'{"error":[],"result":null}',
    b'{"error":[],"result":{}}',
    b'{"error":[],"result":{"txid":[]}}',
    b'{"error":[],"result":{"txid":[""]}}',
    b'{"error":[],"result":{"txid":[7]}}',
    b'{"error":[],"result":{"txid":"OQ7YTR-4KD2A-XP55LM"}}',
    b'{"error":"EOrder:Insufficient funds"}',
    b'{"error":[7]}',
    b'{"error":null,"result":{"txid":["OQ7YTR-4KD2A-XP55LM"]}}',
    b'{"result":{"txid":["OQ7YTR-4KD2A-XP55LM"]}}',
    b'{"success":true}',
    b'{"success":false}',
    b'{"success":true,"success_response":{}}',
    b'{"success":true,"success_response":{"order_id":""}}',
    b'{"success":true,"success_response":{"order_id":null}}',
    b'{"success":true,"order_id":"c72fde0a"}',
    b'{"success":"true","success_response":{"order_id":"c72fde0a"}}',
    b'{"success":false,"error_response":{}}',
    b'{"success":false,"error_response":"INSUFFICIENT_FUND"}',
    b'{"error_response":{"error":"INSUFFICIENT_FUND"}}',
)

STATUSES_UNKNOWN = (
    0,
    204,
    301,
    302,
    307,
    308,
    400,
    403,
    404,
    408,
    409,
    418,
    422,
    425,
    500,
    502,
    503,
    504,
    520,
    524,
    530,
)


@pytest.mark.parametrize(("text", "code"), KRAKEN_REJECTS.items())
def test_kraken_allow_listed_text_is_a_rejection(text, code):
    """A single listed error text in a complete answer is a rejection with its code."""
    assert kraken.classify_submit(200, k(text)) == Rejected(code, text)


@pytest.mark.parametrize("text", KRAKEN_UNKNOWN_TEXTS)
def test_kraken_any_other_text_is_unknown(text):
    """A text off the list, a warning, or anything about client order ids proves nothing."""
    assert isinstance(kraken.classify_submit(200, k(text)), Unknown)


def test_kraken_mixture_of_errors_is_unknown():
    """Two different errors are a case nobody has seen."""
    assert isinstance(kraken.classify_submit(200, k("EOrder:Insufficient funds", "EService:Busy")), Unknown)


def test_kraken_warning_beside_an_order_id_is_an_acceptance():
    """A warning with a txid means that the order was placed."""
    body = k("WOrder:Priced badly", result={"txid": ["OQ7YTR-4KD2A-XP55LM"]})
    assert kraken.classify_submit(200, body) == Accepted("OQ7YTR-4KD2A-XP55LM")


def test_kraken_error_beside_an_order_id_is_unknown():
    """An answer that says both is not believed."""
    body = k("EOrder:Insufficient funds", result={"txid": ["OQ7YTR-4KD2A-XP55LM"]})
    assert isinstance(kraken.classify_submit(200, body), Unknown)


def test_kraken_acceptance_names_the_order():
    """The first txid is the venue's name of the order."""
    assert kraken.classify_submit(200, KRAKEN_OK) == Accepted("OQ7YTR-4KD2A-XP55LM")


@pytest.mark.parametrize("status", STATUSES_UNKNOWN)
def test_kraken_other_status_is_unknown_whatever_the_body(status):
    """Kraken answers with 200 even for errors, so any other status comes from something in between."""
    bodies = (KRAKEN_OK, k("EOrder:Insufficient funds"), b"<html></html>", b"")
    assert all(isinstance(kraken.classify_submit(status, body), Unknown) for body in bodies)


@pytest.mark.parametrize("body", BROKEN_BODIES)
def test_broken_body_is_unknown_at_both_venues(body):
    """Cut, empty, foreign and half-right bodies with status 200 leave the outcome open."""
    assert isinstance(kraken.classify_submit(200, body), Unknown)
    assert isinstance(coinbase.classify_submit(200, body, NAME), Unknown)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, k(result={"count": 1}), None),
        (200, k(result={"count": 1, "pending": True}), None),
        (200, k("EOrder:Unknown order"), Rejected),
        (200, k(result={"count": 0}), Rejected),
        (200, k("EService:Busy"), Unknown),
        (502, b"", Unknown),
        (200, b"{}", Unknown),
        (200, k(result={}), Unknown),
    ],
)
def test_kraken_cancel_answers(status, body, expected):
    """A cancel is under way, refused, or unknown."""
    found = kraken.classify_cancel(status, body)
    assert (found is None) if expected is None else isinstance(found, expected)


def c(error="", new="UNKNOWN_FAILURE_REASON", preview="UNKNOWN_PREVIEW_FAILURE_REASON", message="", order_id=""):
    response = {
        "error": error,
        "message": message,
        "error_details": "",
        "preview_failure_reason": preview,
        "new_order_failure_reason": new,
    }
    answer = {
        "success": False,
        "failure_reason": "UNKNOWN_FAILURE_REASON",
        "order_id": order_id,
        "error_response": response,
    }
    return json.dumps(answer).encode()


def accepted(order_id="c72fde0a", client_order_id=NAME):
    response = {"order_id": order_id, "product_id": "BTC-USD", "side": "BUY", "client_order_id": client_order_id}
    answer = {"success": True, "failure_reason": "UNKNOWN_FAILURE_REASON", "success_response": response}
    return json.dumps(answer).encode()


COINBASE_REASONS = [
    "UNSUPPORTED_ORDER_CONFIGURATION",
    "INVALID_SIDE",
    "INVALID_PRODUCT_ID",
    "INVALID_SIZE_PRECISION",
    "INVALID_PRICE_PRECISION",
    "INSUFFICIENT_FUND",
    "INSUFFICIENT_FUNDS",
    "INVALID_LEDGER_BALANCE",
    "ORDER_ENTRY_DISABLED",
    "INELIGIBLE_PAIR",
    "INVALID_LIMIT_PRICE_POST_ONLY",
    "INVALID_LIMIT_PRICE",
    "INVALID_NO_LIQUIDITY",
    "INVALID_REQUEST",
    "UNTRADABLE_PRODUCT",
    "GEOFENCING_RESTRICTION",
    "FOK_DISABLED",
    "END_TIME_TOO_FAR_IN_FUTURE",
    "LIMIT_PRICE_TOO_FAR_FROM_MARKET",
]


@pytest.mark.parametrize("reason", COINBASE_REASONS)
@pytest.mark.parametrize("field", ["error", "new", "preview"])
def test_coinbase_named_reason_in_any_field_is_a_rejection(reason, field):
    """The reason may stand in any of three fields, in the preview field with its prefix."""
    told = f"PREVIEW_{reason}" if field == "preview" else reason
    assert isinstance(coinbase.classify_submit(200, c(**{field: told}), NAME), Rejected)


def test_coinbase_lack_of_funds_is_told_apart():
    """The engine acts on missing funds, so the code says so."""
    found = coinbase.classify_submit(200, c(error="INSUFFICIENT_FUND", message="Insufficient balance"), NAME)
    assert found == Rejected(RejectCode.INSUFFICIENT_FUNDS, "INSUFFICIENT_FUND Insufficient balance")


@pytest.mark.parametrize(
    "body",
    [
        c(),
        c(error="UNKNOWN_FAILURE_REASON"),
        c(error="COMMANDER_REJECTED_NEW_ORDER"),
        c(error="A_REASON_OF_NEXT_YEAR"),
        c(error="INSUFFICIENT_FUND", new="A_REASON_OF_NEXT_YEAR"),
        c(error="INVALID_REQUEST", message="client_order_id was used before"),
        c(error="DUPLICATE_CLIENT_ORDER_ID"),
        c(error="INSUFFICIENT_FUND", order_id="c72fde0a"),
        accepted(order_id=""),
        accepted(client_order_id="somebody-elses"),
    ],
)
def test_coinbase_vague_or_contradictory_answer_is_unknown(body):
    """Unnamed, unlisted and duplicate complaints, and acceptances of another order, leave the outcome open."""
    assert isinstance(coinbase.classify_submit(200, body, NAME), Unknown)


def test_coinbase_acceptance_names_the_order():
    """The order id of the success response is the venue's name of the order."""
    assert coinbase.classify_submit(200, accepted(), NAME) == Accepted("c72fde0a")


COINBASE_GATE = [
    (400, {"error": "INVALID_ARGUMENT", "message": "bad", "error_details": ""}, RejectCode.OTHER),
    (401, {"error": "unauthorized", "message": ""}, RejectCode.KEY_REFUSED),
    (403, {"error": "PERMISSION_DENIED", "error_details": "Missing required scopes"}, RejectCode.KEY_REFUSED),
    (429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}, RejectCode.RATE_LIMITED),
    (429, {"error": "rate_limit_exceeded"}, RejectCode.RATE_LIMITED),
    (429, {"error": "RESOURCE_EXHAUSTED", "message": ""}, RejectCode.RATE_LIMITED),
    (400, {"error": "INVALID_ARGUMENT", "message": "client_order_id already used"}, None),
    (400, {"error": "SOMETHING_ELSE"}, None),
    (401, {"message": "no error key"}, None),
    (401, {"error": "unauthorized", "surprise": 1}, None),
    (404, {"error": "NOT_FOUND", "message": ""}, None),
    (409, {"error": "INVALID_ARGUMENT"}, None),
    (429, {"error": "SOMETHING_ELSE"}, None),
    (500, {"error": "INTERNAL"}, None),
    (503, {"error": "UNAVAILABLE"}, None),
]


@pytest.mark.parametrize(("status", "answer", "code"), COINBASE_GATE)
def test_coinbase_error_outside_order_entry(status, answer, code):
    """Only the well-known shapes of 400, 401, 403 and 429 prove that no order was made."""
    found = coinbase.classify_submit(status, json.dumps(answer).encode(), NAME)
    assert (found.code if isinstance(found, Rejected) else None) == code


@pytest.mark.parametrize("status", [*STATUSES_UNKNOWN, 401, 429])
def test_coinbase_status_without_json_is_unknown(status):
    """A page of a proxy, or text, is not the venue's word."""
    bodies = (b"Unauthorized\n", b"<html></html>", b"", b"[]")
    assert all(isinstance(coinbase.classify_submit(status, body, NAME), Unknown) for body in bodies)


@pytest.mark.parametrize("status", [201, 202, 425, 500, 524])
def test_coinbase_acceptance_under_another_status_is_unknown(status):
    """An order id under a status that is not 200 has to be confirmed by asking."""
    assert isinstance(coinbase.classify_submit(status, accepted(), NAME), Unknown)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": "o1"}, None),
        ({"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": "o1"}, Rejected),
        ({"success": True, "failure_reason": "", "order_id": "another"}, Unknown),
        ({"success": None, "order_id": "o1"}, Unknown),
    ],
)
def test_coinbase_cancel_answers(result, expected):
    """The row of our own order decides."""
    found = coinbase.classify_cancel(200, json.dumps({"results": [result]}).encode(), "o1")
    assert (found is None) if expected is None else isinstance(found, expected)
