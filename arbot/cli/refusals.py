"""Why a transfer was refused, in words: what was measured against what is allowed, and what to do about it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from arbot.domain.decisions import Reason
from arbot.domain.units import fmt


class _Words(NamedTuple):
    what: str  # may hold {value} and {limit}
    remedy: str


_LOOK = "look at `arbot status`"
_WORDS: dict[Reason, _Words] = {
    Reason.TRANSFERS_OFF: _Words("transfers are off", "set [transfers] enabled = true, allow an address, start again"),
    Reason.KILLED: _Words("trading is killed", "`arbot unkill` once it is clear why"),
    Reason.PAUSED: _Words("trading is paused or halted", "`arbot resume`"),
    Reason.DRAINING: _Words("the run is ending", "ask the next one"),
    Reason.VENUE_NOT_READY: _Words("one of the two venues is not connected", _LOOK),
    Reason.NOT_RECONCILED: _Words(
        "ledger and venue were not found equal yet ({value} differences)", f"{_LOOK}, then `arbot ledger adjust`"
    ),
    Reason.VENUE_QUARANTINED: _Words("the target is in quarantine", f"{_LOOK}: it says why, and for how long"),
    Reason.NOT_ALLOW_LISTED: _Words(
        "the allow-list has {value} addresses for this target, asset and network, and it takes exactly one",
        "add one as [[transfers.allow]], and another venue as the target",
    ),
    Reason.NETWORK_MISMATCH: _Words(
        "this network is not the one on the allow-list, or not one that both venues have", "name the network they share"
    ),
    Reason.TAG_MISSING: _Words("this network needs a tag, and the allow-list has none", "add tag to its entry"),
    Reason.TERMS_UNKNOWN: _Words(
        "a venue's word on its networks is {value} minutes old, and {limit} are allowed",
        "it is asked for every so often: try again in a minute",
    ),
    Reason.WITHDRAWALS_CLOSED: _Words("the source has closed withdrawals", "another network, or wait"),
    Reason.DEPOSITS_CLOSED: _Words("the target has closed deposits", "another network, or wait"),
    Reason.BELOW_MINIMUM: _Words("{value} is below the venues' minimum of {limit}", "send more"),
    Reason.NETWORK_FEE: _Words(
        "the network takes {value}, and more than {limit} is not usual", "wait, or raise transfers.fee_factor_max"
    ),
    Reason.TRANSFER_OVERDUE: _Words(
        "one of this asset or on this network is stuck: {value} of such transfers are faster, and {limit} is the bound",
        "`arbot transfers list`, then `show` says whom to ask",
    ),
    Reason.TRANSFER_REPEATED: _Words(
        "{value} of this asset under way here have no id of the venue's yet, and would be taken for this one",
        "wait for it: `arbot transfers list`",
    ),
    Reason.BALANCE_UNKNOWN: _Words("the source has not told its balance", _LOOK),
    Reason.BALANCE_SHORT: _Words("{value} are available, and {limit} are needed with the highest fee", "send less"),
    Reason.TRANSIT_VALUE: _Words(
        "{value} would be in flight at stressed prices, and {limit} may be",
        "send less, wait for what is under way, or raise transfers.transit_network_max and transit_total_max",
    ),
    Reason.PRICE_UNKNOWN: _Words("no book values the asset now", _LOOK),
    Reason.COUNTERPARTY_SHARE: _Words(
        "{value} of capital would be at the target, and {limit} may be", "send less, or send it elsewhere"
    ),
    Reason.CONFIRMATION_NEEDED: _Words("it is worth {value}, above {limit}: it takes a second yes", "ask again"),
}


_NO_FEE = _Words(
    "the source tells no fee for this network, and none is granted", "grant one: fee_max of the allow-list's entry"
)
_NEVER_TOLD = _Words(
    "one of the two venues has not told its networks yet", "they are asked for every so often: try again in a minute"
)


def refused(answer: dict[str, Any]) -> str:
    """Return the two lines of a refusal: the words with the reason's own name, and the remedy."""
    value, limit = (fmt(Decimal(answer[name])) for name in ("value", "limit"))
    reason = Reason(answer["reason"])
    told = _WORDS.get(reason, _Words(f"{value} against {limit}", _LOOK))
    if reason is Reason.TERMS_UNKNOWN and limit == "0":  # no age was measured: it is the fee that is missing
        told = _NO_FEE
    elif reason is Reason.TERMS_UNKNOWN and answer["value"] < 0:
        told = _NEVER_TOLD
    detail = f": {answer['detail']}" if answer.get("detail") else ""
    return f"refused, {told.what.format(value=value, limit=limit)} ({answer['reason']}){detail}\n    -> {told.remedy}"
