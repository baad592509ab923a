"""Book a difference between ledger and venue that a person has explained, while no daemon runs.

It is a run of its own with one event, so the journal says who did it and why. A running daemon takes the same event
through `Daemon.adjust`; two writers at once are impossible (state_dir.py, and the store's fencing).
"""

from __future__ import annotations

from arbot.domain.accounting import Transaction
from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import AdjustmentRecorded
from arbot.runtime.alone import record_alone
from arbot.settings.model import Settings


def record_adjustment(settings: Settings, adjustment: AdjustmentRecorded) -> Transaction:
    """Book the adjustment and return its transaction. Raises: UserError, also while a daemon runs."""
    mistakes = []
    if adjustment.venue not in settings.venues:
        known = ", ".join(settings.venues)
        mistakes.append(Mistake("venue", f"{adjustment.venue!r} is not configured", f"name one of {known}"))
    if adjustment.qty == 0:
        mistakes.append(Mistake("number", "zero changes nothing", "give what the ledger lacks; it may be negative"))
    if not adjustment.reason.strip():
        mistakes.append(Mistake("--reason", "it is empty", "say what explains the difference"))
    if mistakes:
        raise UserError(*mistakes)
    return record_alone(settings, adjustment, "adjust", "adjusted")[0]
