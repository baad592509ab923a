"""Coinbase's answers to order entry (https://docs.cdp.coinbase.com/api-reference/advanced-trade-api, 2026-11).

A refusal comes with HTTP 200 and names its reason in any of three fields. Reasons that say nothing (UNKNOWN_...), that
are not in the table, or that speak of a duplicate leave the outcome unknown.
"""

from __future__ import annotations

from typing import Any

from arbot.domain.events import RejectCode
from arbot.venues.outcome import Accepted, Rejected, Unknown, Verdict, excerpt, parse_object

REJECT_REASONS: dict[str, RejectCode] = {
    "UNSUPPORTED_ORDER_CONFIGURATION": RejectCode.OTHER,
    "INVALID_SIDE": RejectCode.OTHER,
    "INVALID_PRODUCT_ID": RejectCode.OTHER,
    "INVALID_SIZE_PRECISION": RejectCode.INVALID_STEP,
    "INVALID_PRICE_PRECISION": RejectCode.INVALID_STEP,
    "INSUFFICIENT_FUND": RejectCode.INSUFFICIENT_FUNDS,
    "INSUFFICIENT_FUNDS": RejectCode.INSUFFICIENT_FUNDS,
    "INVALID_LEDGER_BALANCE": RejectCode.INSUFFICIENT_FUNDS,
    "ORDER_ENTRY_DISABLED": RejectCode.MARKET_CLOSED,
    "INELIGIBLE_PAIR": RejectCode.MARKET_CLOSED,
    "INVALID_LIMIT_PRICE_POST_ONLY": RejectCode.POST_ONLY_WOULD_TAKE,
    "INVALID_LIMIT_PRICE": RejectCode.INVALID_PRICE,
    "INVALID_NO_LIQUIDITY": RejectCode.OTHER,
    "INVALID_REQUEST": RejectCode.OTHER,
    "UNTRADABLE_PRODUCT": RejectCode.MARKET_CLOSED,
    "GEOFENCING_RESTRICTION": RejectCode.KEY_REFUSED,
    "FOK_DISABLED": RejectCode.OTHER,
    "END_TIME_TOO_FAR_IN_FUTURE": RejectCode.OTHER,
    "LIMIT_PRICE_TOO_FAR_FROM_MARKET": RejectCode.INVALID_PRICE,
}
"""Reasons after which the order does not exist; each also stands for its PREVIEW_ twin.

COMMANDER_REJECTED_NEW_ORDER is left out on purpose: its name says rejected, nothing else does, so it is asked after.
"""

RATE_LIMIT_WORDS = frozenset({"rate_limit_exceeded", "RESOURCE_EXHAUSTED"})
_REASON_FIELDS = ("error", "new_order_failure_reason", "preview_failure_reason")
_ERROR_KEYS = frozenset({"error", "error_details", "message"})
_DUPLICATE_WORDS = ("DUPLICATE", "CLIENT_ORDER_ID", "CLIENT ORDER ID")


def classify_submit(status: int, body: bytes, client_order_id: str) -> Verdict:
    """Return what an answer to order entry means for this one transmission of `client_order_id`."""
    answer = parse_object(body)
    if answer is None or _speaks_of_duplicate(answer):
        return Unknown(excerpt(status, body))
    if status == 200:
        return _classify_ok(answer, body, client_order_id)
    code = _error_code(status, answer)
    return Unknown(excerpt(status, body)) if code is None else Rejected(code, excerpt(status, body))


def _classify_ok(answer: dict[str, Any], body: bytes, client_order_id: str) -> Verdict:
    success, response, error = (answer.get(name) for name in ("success", "success_response", "error_response"))
    if success is True and isinstance(response, dict):
        order_id, echoed = response.get("order_id"), response.get("client_order_id", client_order_id)
        if isinstance(order_id, str) and order_id and echoed == client_order_id:
            return Accepted(order_id)
    if success is False and isinstance(error, dict) and not answer.get("order_id"):
        reasons = [error.get(field) for field in _REASON_FIELDS] + [answer.get("failure_reason")]
        named = [
            reason.removeprefix("PREVIEW_")
            for reason in reasons
            if isinstance(reason, str) and reason and not reason.startswith("UNKNOWN_")
        ]
        if named and all(reason in REJECT_REASONS for reason in named):
            return Rejected(REJECT_REASONS[named[0]], f"{named[0]} {error.get('message', '')}".strip())
    return Unknown(excerpt(200, body))


def _error_code(status: int, answer: dict[str, Any]) -> RejectCode | None:
    """Return the code of a well-formed error of the gateway in front of order entry, or None."""
    words = _error_words(answer)
    if not words:
        return None
    match status:
        case 400 if words == {"INVALID_ARGUMENT"}:
            return RejectCode.OTHER
        case 401 | 403:
            return RejectCode.KEY_REFUSED
        case 429 if words <= RATE_LIMIT_WORDS:
            return RejectCode.RATE_LIMITED
    return None


def _error_words(answer: dict[str, Any]) -> set[str]:
    """Return the error ids of either error shape, or nothing when the body has any other shape."""
    error, errors = answer.get("error"), answer.get("errors")
    if isinstance(error, str) and error and answer.keys() <= _ERROR_KEYS:
        return {error}
    if answer.keys() == {"errors"} and isinstance(errors, list) and errors:
        ids = [entry.get("id") if isinstance(entry, dict) else None for entry in errors]
        if all(isinstance(one, str) and one for one in ids):
            return {str(one) for one in ids}
    return set()


def classify_cancel(status: int, body: bytes, venue_order_id: str) -> Rejected | Unknown | None:
    """Return why a cancel was refused, Unknown, or None when it was taken (taken is not yet canceled)."""
    answer = parse_object(body)
    results = answer.get("results") if answer is not None else None
    if status == 200 and isinstance(results, list):
        for result in results:
            if isinstance(result, dict) and result.get("order_id") == venue_order_id:
                if result.get("success") is True:
                    return None
                reason = result.get("failure_reason")
                if result.get("success") is False and isinstance(reason, str) and reason:
                    return Rejected(RejectCode.OTHER, reason)
    if answer is not None and status in (401, 403, 429):
        code = _error_code(status, answer)
        if code is not None:
            return Rejected(code, excerpt(status, body))
    return Unknown(excerpt(status, body))


def _speaks_of_duplicate(answer: dict[str, Any]) -> bool:
    """Whether a complaint mentions a repeated client order id: then an order of that name exists."""
    if answer.get("success") is True:
        return False
    error = answer.get("error_response")
    fields = [*answer.values(), *(error.values() if isinstance(error, dict) else ())]
    return any(isinstance(text, str) and any(word in text.upper() for word in _DUPLICATE_WORDS) for text in fields)
