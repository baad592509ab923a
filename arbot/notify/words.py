"""One table from the code of an alert to the words for a person: what it is, what arbot does now, what to type next.

The alert's own text says what happened, where and how much. A code that is not here is told by its own name, so nothing
is ever lost; a test asks for a row of every code that the product raises.
"""

from __future__ import annotations

from typing import NamedTuple

from arbot.notify.message import Kind


class Words(NamedTuple):
    """What is said of one kind of alert."""

    kind: Kind
    title: str
    does: str
    todo: str


_STATUS, _SHOW = "arbot status", "arbot transfers list"

ALERTS: dict[str, Words] = {
    "killed": Words(
        Kind.KILL,
        "The kill switch is thrown",
        "No order leaves, now or after a restart. Open orders are being cancelled.",
        'arbot status, and once the cause is known: arbot unkill --reason "...", then arbot resume',
    ),
    "limit_latched": Words(
        Kind.LIMIT,
        "A loss limit is reached",
        "No new arbs until a person releases it. What is open is finished.",
        'arbot risk show, then arbot reset-limit NAME --reason "..." with the name above',
    ),
    "arb_stranded": Words(
        Kind.STRANDED,
        "An arb is stranded: money is unhedged",
        "Hedging has spent its limits, so it has stopped. No new arbs are opened.",
        "arbot status, then arbot flatten",
    ),
    "unhedged": Words(
        Kind.STRANDED,
        "An arb is unhedged for longer than it may be",
        "Hedging goes on until its limits are spent.",
        "arbot status; arbot flatten if it does not end",
    ),
    "result_unpriced": Words(
        Kind.STRANDED,
        "A result cannot be counted: its currency has no price",
        "Trading is paused, for the loss limits cannot be measured.",
        "arbot status, and arbot resume when the venue's books are back",
    ),
    "order_unknown": Words(
        Kind.ORDER,
        "Nobody knows what became of an order",
        "Its worst case counts as open, it is asked about for ever and never sent again.",
        "look at the venue's own order page, then arbot status",
    ),
    "orders_open": Words(
        Kind.ORDER,
        "Orders are open after cancelling all",
        "arbot has tried for forty seconds.",
        "cancel them at the venue's own page, then arbot status",
    ),
    "fill_clashed": Words(
        Kind.ORDER,
        "A venue reports one fill in two versions",
        "The second was not booked. Trading is halted.",
        "arbot ledger verify, compare with the venue's own list of fills, then arbot resume",
    ),
    "fill_unknown": Words(
        Kind.ORDER,
        "A venue reports a fill that arbot never ordered",
        "It is not booked.",
        "look at the venue's list of fills: does somebody else use this account?",
    ),
    "order_stray": Words(
        Kind.WARNING, "An order of an earlier run was open", "It is cancelled; what it filled is booked.", _STATUS
    ),
    "orphan_fill": Words(
        Kind.WARNING, "A fill came for an order that had ended", "It is booked; what it left is flattened.", _STATUS
    ),
    "ledger_differs": Words(
        Kind.LEDGER,
        "Ledger and venue differ",
        "No arb is opened there until they agree.",
        "find the cause, then settle it with the command above",
    ),
    "venue_refuses": Words(
        Kind.VENUE,
        "A venue refuses our key",
        "No arb is opened there. It is asked again with every round.",
        "check the key, its permissions and its address list at the venue, and the clock of this machine",
    ),
    "venue_unreachable": Words(
        Kind.VENUE,
        "A venue cannot be asked",
        "No arb is opened there until balances have been compared. It is asked again with every round.",
        "arbot status, and the venue's status page",
    ),
    "venue_restless": Words(
        Kind.WARNING,
        "Balances could not be compared: orders never rested",
        "No arb is opened there until they could.",
        _STATUS,
    ),
    "venue_quarantined": Words(
        Kind.VENUE,
        "A venue is in quarantine",
        "No new arbs there; what is open is finished, resting quotes are pulled.",
        "arbot risk show; if money should leave: arbot rebalance plan",
    ),
    "venue_released": Words(Kind.VENUE, "A venue is out of quarantine", "It is given arbs again.", ""),
    "caps_shrunk": Words(
        Kind.VENUE,
        "Less money may lie at a venue",
        "Its caps fall until withdrawals are seen to work.",
        "arbot risk show; arbot transfers list",
    ),
    "caps_returned": Words(Kind.VENUE, "A venue's caps come back", "", ""),
    "instrument_closed": Words(Kind.WARNING, "An instrument takes no orders", "It is left out.", _STATUS),
    "depegged": Words(
        Kind.PEG,
        "A stablecoin has left its peg",
        "Nothing is opened in it; what is held stays.",
        "arbot risk show; arbot rebalance plan",
    ),
    "repegged": Words(Kind.PEG, "A stablecoin is back on its peg", "It is traded again.", ""),
    "flush_failed": Words(Kind.WARNING, "A small residual could not be sold", "It is tried again later.", _STATUS),
    "fee_unpriced": Words(Kind.WARNING, "A fee has no price", "It is missing in the profit shown.", "arbot tax report"),
    "transfer_overdue": Words(
        Kind.TRANSFER,
        "A transfer is stuck",
        "Its worth stays counted; what depends on it waits. It is never sent again.",
        "arbot transfers show ID, with the id above; then the support of both venues",
    ),
    "transfer_doubt": Words(
        Kind.TRANSFER,
        "It is in doubt what became of a transfer",
        "It counts as under way, and is never sent again.",
        _SHOW,
    ),
    "transfer_unknown": Words(
        Kind.TRANSFER,
        "A withdrawal got no usable answer",
        "It counts as sent until the venue's history says otherwise.",
        _SHOW,
    ),
    "address_changed": Words(
        Kind.TRANSFER,
        "A deposit address is not the one that was allowed",
        "Nothing was sent.",
        "compare the address at the venue with [[transfers.allow]] before anything else",
    ),
    "transfer_rejected": Words(Kind.TRANSFER, "A withdrawal was refused", "Nothing was sent.", _SHOW),
    "closed_by_hand": Words(
        Kind.TRANSFER, "A transfer was ended by a person's word", "It counts as never sent.", _SHOW
    ),
    "transfer_amount": Words(
        Kind.TRANSFER, "A withdrawal differs from what was asked for", "It is followed as it is.", _SHOW
    ),
    "transfer_fee_above": Words(Kind.TRANSFER, "A withdrawal cost more than it may", "It is booked as it is.", _SHOW),
    "transfer_credited_twice": Words(
        Kind.TRANSFER, "A transfer was credited more than once", "It is booked as it came.", _SHOW
    ),
    "transfer_short": Words(
        Kind.TRANSFER, "Less arrived than was sent", "It is stuck; the rest counts as under way.", _SHOW
    ),
    "transfer_fee_hidden": Words(Kind.WARNING, "A venue kept part of a deposit", "It is booked as a fee.", _SHOW),
    "transfer_reversed": Words(Kind.TRANSFER, "A deposit was taken back", "What is left of it is booked.", _SHOW),
    "transfer_returned": Words(Kind.TRANSFER, "A transfer came back to its source", "It has ended.", _SHOW),
    "transfer_moves": Words(Kind.TRANSFER, "A stuck transfer goes on", "", ""),
    "observer_failed": Words(
        Kind.WARNING,
        "Something that watches has failed: what it shows may lack something",
        "Trading goes on as before.",
        "the log has the traceback: report it; a restart makes it whole again",
    ),
    "transfer_tx_replaced": Words(Kind.WARNING, "A transfer has another transaction", "It is followed.", ""),
}
"""Every code there is. INFO alerts of a kind that is told end the story that began with a warning."""


def words_of(code: str, *, is_critical: bool) -> Words:
    """Return the words of a code, or plain ones made of its name."""
    known = ALERTS.get(code)
    if known is not None:
        return known
    return Words(Kind.FAILURE if is_critical else Kind.WARNING, code.replace("_", " ").capitalize(), "", _STATUS)
