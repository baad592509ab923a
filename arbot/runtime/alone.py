"""One event of a person, journaled while no daemon runs: a run of its own, so that the journal says who did it and why."""

from __future__ import annotations

import secrets

from arbot import __version__
from arbot.domain.accounting import Transaction
from arbot.domain.decisions import Outcome
from arbot.domain.events import Envelope, Event, RunEnded, RunStarted
from arbot.domain.ids import RunId
from arbot.journal import queries
from arbot.journal.store import SqlStore
from arbot.ledger.posting import Ledger
from arbot.ports import Record
from arbot.runtime.clock import SystemClock
from arbot.runtime.state_dir import StateDir
from arbot.settings.model import Settings
from arbot.settings.show import digest_of_decisions


def record_in(url: str, event: Event, name: str, reason: str) -> None:
    """Journal an event in a ledger file that no daemon has. Raises: UserError, also while somebody else writes to it."""
    clock = SystemClock()
    store = SqlStore.open(url, now_ns=clock.now_ns)
    run_id = RunId(f"{name}-{secrets.token_hex(4)}")
    try:
        with store.run_at_once(run_id=run_id, code_version=__version__) as connection:
            run = store.run_of(connection, queries.head(connection).epoch)
            ledger = Ledger(queries.balances(connection), lambda known: queries.transaction(connection, known))
            started = RunStarted(
                run_id=run_id,
                epoch=run.epoch,
                code_version=__version__,
                config_digest=run.config_digest,
                mode=run.mode,
            )
            events: tuple[Event, ...] = (started, event, RunEnded(reason=reason, open_orders=0))
            records = []
            for number, one in enumerate(events, start=1):
                envelope = Envelope(number, clock.now_ns(), one)
                records.append(Record(envelope=envelope, outcome=Outcome(), transactions=ledger.apply(envelope)))
            store.append(connection, records)
    finally:
        store.close()


def record_alone(settings: Settings, event: Event, name: str, reason: str) -> tuple[Transaction, ...]:
    """Journal an event and return what was booked of it. Raises: UserError, also while a daemon runs."""
    clock = SystemClock()
    with StateDir(settings.run.state_dir):
        store = SqlStore.open(settings.store_url(), now_ns=clock.now_ns)
        try:
            return _record(store, clock, settings, event, name, reason)
        finally:
            store.close()


def _record(  # noqa: PLR0917 - the parts of a run
    store: SqlStore, clock: SystemClock, settings: Settings, event: Event, name: str, reason: str
) -> tuple[Transaction, ...]:
    run_id, mode, config_digest = (
        RunId(f"{name}-{secrets.token_hex(4)}"),
        settings.run.mode.value,
        digest_of_decisions(settings),
    )
    epoch = store.begin_run(run_id=run_id, mode=mode, code_version=__version__, config_digest=config_digest)
    ledger = Ledger(store.all_balances(), store.transaction)
    started = RunStarted(run_id=run_id, epoch=epoch, code_version=__version__, config_digest=config_digest, mode=mode)
    events: tuple[Event, ...] = (started, event, RunEnded(reason=reason, open_orders=0))
    records = []
    for number, one in enumerate(events, start=1):
        envelope = Envelope(number, clock.now_ns(), one)
        records.append(Record(envelope=envelope, outcome=Outcome(), transactions=ledger.apply(envelope)))
    store.commit(records)
    store.end_run()
    return records[1].transactions
