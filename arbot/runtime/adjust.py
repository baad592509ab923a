"""Book a difference between ledger and venue that a person has explained, while no daemon runs.

It is a run of its own with one event, so the journal says who did it and why. A running daemon takes the same event
through `Daemon.adjust`; two writers at once are impossible (state_dir.py, and the store's fencing).
"""

from __future__ import annotations

import secrets

from arbot import __version__
from arbot.domain.accounting import Transaction
from arbot.domain.decisions import Outcome
from arbot.domain.errors import Mistake, UserError
from arbot.domain.events import AdjustmentRecorded, Envelope, Event, RunEnded, RunStarted
from arbot.domain.ids import RunId
from arbot.journal.store import SqlStore
from arbot.ledger.posting import Ledger
from arbot.ports import Record
from arbot.runtime.clock import SystemClock
from arbot.runtime.state_dir import StateDir
from arbot.settings.model import Settings
from arbot.settings.show import digest_of_decisions


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
    clock = SystemClock()
    with StateDir(settings.run.state_dir):
        store = SqlStore.open(settings.store_url(), now_ns=clock.now_ns)
        try:
            return _book(store, clock, settings, adjustment)
        finally:
            store.close()


def _book(store: SqlStore, clock: SystemClock, settings: Settings, adjustment: AdjustmentRecorded) -> Transaction:
    run_id, mode, config_digest = (
        RunId(f"adjust-{secrets.token_hex(4)}"),
        settings.run.mode.value,
        digest_of_decisions(settings),
    )
    epoch = store.begin_run(run_id=run_id, mode=mode, code_version=__version__, config_digest=config_digest)
    ledger = Ledger(store.all_balances(), store.transaction)
    started = RunStarted(run_id=run_id, epoch=epoch, code_version=__version__, config_digest=config_digest, mode=mode)
    events: tuple[Event, ...] = (started, adjustment, RunEnded(reason="adjusted", open_orders=0))
    records = []
    for number, event in enumerate(events, start=1):
        envelope = Envelope(number, clock.now_ns(), event)
        records.append(Record(envelope=envelope, outcome=Outcome(), transactions=ledger.apply(envelope)))
    store.commit(records)
    store.end_run()
    return records[1].transactions[0]
