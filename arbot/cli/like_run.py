"""`arbot backtest --like-run ID`: the model of a recorded run beside what really happened, as a table or JSON."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from arbot.cli.output import say, to_json

if TYPE_CHECKING:
    from arbot.backtest.like_run import Difference
    from arbot.settings.model import Settings


def compare(settings: Settings, run: str, tapes: list[Path], *, as_json: bool) -> None:
    """Print a recorded run's model beside what happened, cause by cause. Raises: UserError."""
    from arbot.backtest.like_run import as_it_was, difference, recorded_run, span_of
    from arbot.backtest.result import Scenario
    from arbot.backtest.run import plan, run_column
    from arbot.backtest.run_tape import RunTape, find_run
    from arbot.backtest.tapes import Allowances, open_stock
    from arbot.journal.store import Access, SqlStore
    from arbot.runtime.clock import SystemClock
    from arbot.venues.factory import book_depth

    depths = {one.venue: book_depth(one) for one in settings.venue_configs()}
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns, access=Access.READ)
    try:
        stored = find_run(store, run)
        span = span_of(store, stored, depths)
        happened = recorded_run(
            store,
            stored,
            span,
            RunTape([tape.resolve() for tape in tapes], stored.run_id),
            settings.engine_config(),
            depths.__getitem__,
        )
    finally:
        store.close()
    allowances = Allowances(last_ts_ns=span.last_ts_ns)
    stock = open_stock([tape.resolve() for tape in tapes], settings, mapping={}, allowances=allowances, cache_dir=None)
    planned = plan(as_it_was(settings, span), stock, first_ts_ns=span.first_ts_ns)
    modelled = run_column(planned, Scenario.REALISTIC)
    rows = difference(modelled, happened)
    if as_json:
        document = [
            {"cause": one.cause, "modelled": one.modelled, "happened": one.happened, "difference": one.difference}
            for one in rows
        ]
        say(to_json({"run_id": stored.run_id, "ccy": settings.run.ccy, "rows": document}))
        return
    seconds = (span.last_ts_ns - span.first_ts_ns) // 10**9
    say(
        f"run {stored.run_id}, {seconds:,} s of trading: the realistic model and what happened; money in {settings.run.ccy}"
    )
    for line in _table(rows):
        say(line)
    if any(one.cause.startswith("declined:") for one in rows):
        say("Declines of the model are fewer by nature: it does not look again at a route that rests.")
    if not happened.digest:
        say(
            "The run did not end in good order: its tape may lack the last seconds, and what it declined was not counted."
        )
    if not happened.ledger_matches_venues:
        say(
            "When it was last compared, the run's ledger differed from a venue: what happened may not be the whole of it."
        )


def _table(rows: tuple[Difference, ...]) -> list[str]:
    lines = [f"{'cause':32} {'modelled':>16} {'happened':>16} {'difference':>16}"]
    lines += [f"{one.cause:32} {_n(one.modelled):>16} {_n(one.happened):>16} {_n(one.difference):>16}" for one in rows]
    return lines


def _n(number: Decimal) -> str:
    return f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,.4f}"
