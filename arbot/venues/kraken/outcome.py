"""Kraken's answers to AddOrder and CancelOrder (https://docs.kraken.com/api-reference/trading/add-order, 2026-11).

Errors come with HTTP 200 as texts `<E|W><Category>:<Type>[:<extra>]`. A text that is not in the table is unknown, and
so is anything that names `cl_ord_id`: a complaint about a duplicate means that ours may exist.
"""

from __future__ import annotations

from typing import Any

from arbot.domain.events import RejectCode
from arbot.venues.outcome import Accepted, Rejected, Unknown, Verdict, excerpt, parse_object

REJECT_TEXTS: dict[str, RejectCode] = {
    "EOrder:Insufficient funds": RejectCode.INSUFFICIENT_FUNDS,
    "EOrder:Order minimum not met": RejectCode.BELOW_MINIMUM,
    "EOrder:Cost minimum not met": RejectCode.BELOW_MINIMUM,
    "EOrder:Tick size check failed": RejectCode.INVALID_STEP,
    "EOrder:Invalid price": RejectCode.INVALID_PRICE,
    "EOrder:Post only order": RejectCode.POST_ONLY_WOULD_TAKE,
    "EOrder:Orders limit exceeded": RejectCode.OTHER,
    "EOrder:Invalid order": RejectCode.OTHER,
    "EOrder:Rate limit exceeded": RejectCode.RATE_LIMITED,
    "EAPI:Rate limit exceeded": RejectCode.RATE_LIMITED,
    "EAPI:Bad request": RejectCode.OTHER,
    "EAPI:Invalid key": RejectCode.KEY_REFUSED,
    "EAPI:Invalid signature": RejectCode.KEY_REFUSED,
    "EAPI:Invalid nonce": RejectCode.OTHER,  # we send once and follow no redirect, so no copy can have passed before
    "EAuth:Account temporary disabled": RejectCode.KEY_REFUSED,
    "EGeneral:Invalid arguments": RejectCode.OTHER,
    "EGeneral:Permission denied": RejectCode.KEY_REFUSED,
    "EGeneral:Temporary lockout": RejectCode.RATE_LIMITED,
    "EGeneral:Unknown method": RejectCode.OTHER,
    "EQuery:Unknown asset pair": RejectCode.MARKET_CLOSED,
    "EService:Market in cancel_only mode": RejectCode.MARKET_CLOSED,
    "EService:Market in limit_only mode": RejectCode.MARKET_CLOSED,
    "EService:Market in post_only mode": RejectCode.MARKET_CLOSED,
    "ETrade:User Locked": RejectCode.KEY_REFUSED,
}
"""Texts after which the order does not exist."""

REJECT_PREFIXES: tuple[tuple[str, RejectCode], ...] = (
    ("EOrder:Margin ", RejectCode.OTHER),
    ("EGeneral:Invalid arguments:volume", RejectCode.BELOW_MINIMUM),
    ("EGeneral:Invalid arguments:price", RejectCode.INVALID_PRICE),
    ("EGeneral:Invalid arguments:", RejectCode.OTHER),
)
"""The same, for texts with a variable end."""

DOUBTFUL_WORDS = ("cl_ord_id", "clordid", "client order id", "duplicate")
"""Whatever else the text says, with one of these in it our order may exist."""

CANCEL_REFUSED = frozenset(
    {"EOrder:Unknown order", "EGeneral:Permission denied", "EAPI:Rate limit exceeded", "EAPI:Invalid nonce"}
)
"""Texts after which no cancel is under way."""


def classify_submit(status: int, body: bytes) -> Verdict:
    """Return what an answer to AddOrder means for this one transmission."""
    answer = parse_object(body)
    if status != 200 or answer is None:
        return Unknown(excerpt(status, body))
    errors, result = answer.get("error"), answer.get("result")
    txid = _order_id(result)
    if not isinstance(errors, list) or not all(isinstance(text, str) for text in errors):
        return Unknown(excerpt(status, body))
    if txid and not any(text.startswith("E") for text in errors):
        return Accepted(txid)
    code = reject_code(errors)
    if code is None or txid:
        return Unknown(excerpt(status, body))
    return Rejected(code, errors[0])


def reject_code(errors: list[str]) -> RejectCode | None:
    """Return the code of a single allow-listed error, or None when the errors do not prove a rejection."""
    if len(set(errors)) != 1:
        return None
    text = errors[0]
    if any(word in text.lower() for word in DOUBTFUL_WORDS):
        return None
    if text in REJECT_TEXTS:
        return REJECT_TEXTS[text]
    return next((code for prefix, code in REJECT_PREFIXES if text.startswith(prefix)), None)


def classify_cancel(status: int, body: bytes) -> Rejected | Unknown | None:
    """Return why a cancel was refused, Unknown, or None when it is under way (the stream tells the end)."""
    answer = parse_object(body)
    if status != 200 or answer is None:
        return Unknown(excerpt(status, body))
    errors, result = answer.get("error"), answer.get("result")
    if errors == [] and isinstance(result, dict):
        count = result.get("count")
        if isinstance(count, int) and count > 0:
            return None
        return Rejected(RejectCode.OTHER, "nothing was canceled") if count == 0 else Unknown(excerpt(status, body))
    if isinstance(errors, list) and len(errors) == 1 and errors[0] in CANCEL_REFUSED:
        return Rejected(REJECT_TEXTS.get(errors[0], RejectCode.OTHER), errors[0])
    return Unknown(excerpt(status, body))


def _order_id(result: Any) -> str:
    txids = result.get("txid") if isinstance(result, dict) else None
    first = txids[0] if isinstance(txids, list) and txids else None
    return first if isinstance(first, str) else ""
