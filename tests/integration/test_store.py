"""The store on real databases: what is committed comes back, one writer at a time, and tampering shows."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import msgspec
import pytest
from sqlalchemy import text

from arbot.domain.decisions import ArbState
from arbot.domain.errors import InvariantBroken, UserError
from arbot.domain.events import (
    AccountSnapshotReceived,
    LegEvidence,
    MovementState,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderSent,
    OrderStatusReported,
    RejectCode,
    RequestOutcomeUnknown,
    RunStarted,
    StandingRestored,
    TimerFired,
    TransferReported,
)
from arbot.domain.instrument import Balance
from arbot.domain.order import OrderState, Purpose, Side
from arbot.domain.transfer import DelayEvidence, TypicalFee
from arbot.journal import queries
from arbot.journal.codec import link
from arbot.journal.database import StoreFailed
from arbot.journal.store import Access, epoch_floor
from arbot.ledger.posting import Ledger
from tests.support.accounting import T0_NS, Scribe, a_fill, an_intent, moved, opened, order_name
from tests.support.stores import a_run, a_store, begin

STANDING = StandingRestored(
    killed=False,
    paused=True,
    latched=("loss_day",),
    day="2026-11-22",
    realised_day=Decimal("-1.50"),
    realised_total=Decimal("12.25"),
    realised_peak=Decimal(20),
    arbs_flat=3,
)


def tick(scribe: Scribe, outcome=None):
    return scribe.record(TimerFired(key="t"), outcome)


def a_day(scribe: Scribe):
    """Return the records of an arb of two legs: opening balances, intents, one leg filled in two, the other canceled."""
    buy, sell = an_intent(1, 0), an_intent(1, 1, venue="coinbase", instrument="BTC/USD@coinbase", side=Side.SELL)
    first, second = buy.client_order_id, sell.client_order_id
    totals = (Balance(asset="BTC", total=Decimal(2)), Balance(asset="USD", total=Decimal("90000.50")))
    return [
        scribe.record(RunStarted(run_id="r", epoch=1, code_version="1", config_digest="c", mode="demo")),
        scribe.record(AccountSnapshotReceived(venue="kraken", balances=totals)),
        scribe.record(AccountSnapshotReceived(venue="coinbase", balances=totals)),
        tick(scribe, opened(buy, sell)),
        scribe.record(OrderSent(client_order_id=first)),
        scribe.record(OrderSent(client_order_id=second)),
        scribe.record(OrderAccepted(client_order_id=first, venue_order_id="O-1"), moved(buy.arb_id, ArbState.WORKING)),
        scribe.filled(qty=Decimal("0.04")),
        scribe.filled(qty=Decimal("0.06"), trade_id="T-2", venue_ts_ns=T0_NS + 7),
        scribe.filled(qty=Decimal("0.06"), trade_id="T-2", venue_ts_ns=T0_NS + 7),
        scribe.record(
            OrderCanceled(client_order_id=second, filled_qty=Decimal(0)), moved(buy.arb_id, ArbState.ONE_SIDED)
        ),
        scribe.record(
            TransferReported(
                venue="kraken",
                transfer_id="D1",
                asset="ETH",
                qty=Decimal(3),
                fee=Decimal(0),
                state=MovementState.DONE,
                venue_ts_ns=T0_NS * 2,
            )
        ),
    ]


def test_what_is_committed_comes_back(store_url):
    """Journal, orders, fills, balances, transfers and cursor are there after a restart, and the store verifies."""
    records = a_day(Scribe())
    with closing(a_run(store_url)) as store:
        store.commit(records[:4])
        store.commit(records[4:])
        store.end_run()
    with closing(a_store(store_url)) as store:
        assert records == [entry.record for entry in store.iter_journal()]
        assert [3, 4] == [entry.seq for entry in store.iter_journal(after=2)][:2]
        buy, sell = store.unsettled_orders()
        assert (OrderState.FILLED, "O-1", 2) == (buy.state, buy.venue_order_id, len(buy.fills))
        assert (OrderState.CANCELED, ()) == (sell.state, sell.fills)
        assert buy == store.order(buy.intent.client_order_id)
        assert None is store.order(order_name(9))
        assert (("BTC", Decimal("2.1")), ("ETH", Decimal(3)), ("USD", Decimal("83952.5"))) == store.balances(
            "assets:kraken"
        )
        assert T0_NS + 7 == store.fill_cursor_ns("kraken")
        assert 0 == store.fill_cursor_ns("coinbase")
        trades = store.trades()
        assert [("1-1", Purpose.LEG, "T-1"), ("1-1", Purpose.LEG, "T-2")] == [
            (trade.arb_id, trade.purpose, trade.fill.trade_id) for trade in trades
        ]
        assert trades[1:] == store.trades(limit=1)
        assert () == store.trades(venue="coinbase")
        assert () == store.trades(since_ns=trades[-1].ts_ns + 1)
        assert () == store.verify()


def test_a_new_ledger_goes_on_where_the_old_one_was(store_url):
    """A ledger made from stored balances has the same sums, and books neither a known fill nor an opening again."""
    scribe = Scribe()
    records = a_day(scribe)
    with closing(a_run(store_url)) as store:
        store.commit(records)
        again = Ledger(store.all_balances(), store.transaction)
        assert scribe.ledger.balances() == again.balances()
        assert [] == [posted for record in records for posted in again.apply(record.envelope)]
        assert records[1].transactions[0] == store.transaction("opening|kraken")


def test_a_commit_is_idempotent(store_url):
    """The same records committed twice are stored once, in one commit or in two."""
    records = a_day(Scribe())
    with closing(a_run(store_url)) as store:
        store.commit(records)
        store.commit(records)
        store.commit([*records[-2:], *records[-2:]])
        assert len(records) == store.head().seq
        assert () == store.verify()


def test_another_event_under_the_same_number_is_refused(store_url):
    """A number that comes twice with another body stops the store."""
    with closing(a_run(store_url)) as store:
        store.commit([tick(Scribe())])
        with pytest.raises(InvariantBroken, match="twice"):
            store.commit([Scribe().filled()])


def test_numbers_may_leave_gaps_but_not_go_back(store_url):
    """Market events are numbered and not journaled: the journal's own numbers stay gapless all the same."""
    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        early = tick(scribe)
        scribe.step += 50
        store.commit([tick(scribe)])
        assert 1 == store.head().seq
        with pytest.raises(InvariantBroken, match="order"):
            store.commit([early])


def test_a_client_order_id_is_used_once(store_url):
    """A second intent under the name of the first is refused, whether in memory or long ago."""
    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        store.commit([tick(scribe, opened(an_intent(1)))])
        store.end_run()
    with closing(a_run(store_url)) as store, pytest.raises(InvariantBroken, match="client order id"):
        store.commit([tick(Scribe(), opened(an_intent(1)))])


def test_orders_of_flat_arbs_are_settled(store_url):
    """Orders stay unsettled until their arb is flat, and come back when a late fill reopens it."""
    scribe = Scribe()
    intent = an_intent(1)
    with closing(a_run(store_url)) as store:
        store.commit([tick(scribe, opened(intent))])
        assert [intent] == [order.intent for order in store.unsettled_orders()]
        store.commit([tick(scribe, moved(intent.arb_id, ArbState.FLAT))])
        assert () == store.unsettled_orders()
        store.commit([scribe.record(TimerFired(key=""), moved(intent.arb_id, ArbState.ONE_SIDED))])
        assert [intent] == [order.intent for order in store.unsettled_orders()]


def test_fills_of_orders_that_are_not_ours_are_kept(store_url):
    """A fill without an intent is booked and listed, once, without an arb."""
    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        store.commit([scribe.filled(), scribe.filled()])
        store.commit([scribe.filled()])
        assert [None] == [trade.arb_id for trade in store.trades()]
        assert () == store.verify()


ORDER = order_name(1)
STEPS = {
    "intended": ([], OrderState.INTENDED),
    "sent": ([OrderSent(client_order_id=ORDER)], OrderState.SENT),
    "accepted": ([OrderAccepted(client_order_id=ORDER, venue_order_id="O-1")], OrderState.OPEN),
    "rejected": ([OrderRejected(client_order_id=ORDER, code=RejectCode.OTHER, detail="")], OrderState.REJECTED),
    "unknown": ([RequestOutcomeUnknown(client_order_id=ORDER, request="submit", detail="")], OrderState.UNKNOWN),
    "unknown cancel": (
        [
            OrderAccepted(client_order_id=ORDER, venue_order_id="O-1"),
            RequestOutcomeUnknown(client_order_id=ORDER, request="cancel", detail=""),
        ],
        OrderState.OPEN,
    ),
    "absent is not ended": (
        [OrderStatusReported(client_order_id=ORDER, state=OrderState.UNKNOWN, venue_order_id=None, sources=3)],
        OrderState.UNKNOWN,
    ),
    "part filled": (["0.04"], OrderState.PART_FILLED),
    "filled": (["0.04", "0.06"], OrderState.FILLED),
    "canceled, fills missing": (
        [OrderCanceled(client_order_id=ORDER, filled_qty=Decimal("0.04"))],
        OrderState.INTENDED,
    ),
    "canceled, fills came later": (
        [OrderCanceled(client_order_id=ORDER, filled_qty=Decimal("0.04")), "0.04"],
        OrderState.CANCELED,
    ),
    "late fill": ([OrderCanceled(client_order_id=ORDER, filled_qty=Decimal(0)), "0.04"], OrderState.CANCELED),
    "reported closed": (
        [
            OrderStatusReported(
                client_order_id=ORDER, state=OrderState.EXPIRED, venue_order_id="O-1", filled_qty=Decimal("0.04")
            ),
            "0.04",
        ],
        OrderState.EXPIRED,
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_an_order_ends_by_words_and_fills_together(sqlite_url, name):
    """The stored state follows the venue's words as far as the fills add up to them."""
    steps, expected = STEPS[name]
    scribe = Scribe()
    records = [tick(scribe, opened(an_intent(1)))]
    for number, step in enumerate(steps):
        if isinstance(step, str):
            records.append(scribe.filled(qty=Decimal(step), trade_id=f"T-{number}"))
        else:
            records.append(scribe.record(step))
    with closing(a_run(sqlite_url)) as store:
        store.commit(records)
        assert expected == store.order(ORDER).state
        assert () == store.verify()


def test_standing_outlives_the_process(store_url):
    """The newest standing comes back; a new store has none."""
    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        assert None is store.standing()
        envelope = tick(scribe)
        store.commit([type(envelope)(envelope=envelope.envelope, outcome=envelope.outcome, standing=STANDING)])
        store.end_run()
    with closing(a_store(store_url, access=Access.READ)) as store:
        assert STANDING == store.standing()
        assert None is store.last_throw()
        store.set_killed(True, actor="ann", reason="odd prices")
        store.set_killed(True, actor="bob", reason="to be sure")  # it is thrown already
        assert msgspec.structs.replace(STANDING, killed=True) == store.standing()
        thrown = store.last_throw()
        assert thrown is not None
        assert (True, "ann", "odd prices") == (thrown.killed, thrown.actor, thrown.reason)


def test_lessons_are_kept_from_records_that_carry_only_the_new_ones(store_url):
    """Every lesson comes back in its newest form, whichever record told it; the journal alone gives the same rows."""
    legs = [LegEvidence(instrument=f"A{number}/USD@kraken", legs=Decimal(1)) for number in range(3)]
    more = msgspec.structs.replace(legs[1], legs=Decimal("1.99"))
    delay = DelayEvidence(
        source="kraken", asset="BTC", network="bitcoin", count=1, log_mean=Decimal(8), log_squares=Decimal(0)
    )
    fee = TypicalFee(venue="kraken", asset="BTC", network="bitcoin", fee=Decimal("0.0001"))
    first = msgspec.structs.replace(STANDING, evidence=tuple(legs), network_fees=(fee,))
    second = msgspec.structs.replace(first, evidence=(legs[0], more, legs[2]), delays=(delay,), paused=False)
    changed = second.learned_since(first)
    assert ((more,), (delay,), ()) == (changed.evidence, changed.delays, changed.network_fees)

    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        for standing in (first, changed):
            store.commit([msgspec.structs.replace(tick(scribe), standing=standing)])
        assert second == store.standing()
        assert () == store.verify()
        store.end_run()
        store.rebuild()
        assert second == store.standing()


def test_the_kill_switch_survives_and_needs_no_run(store_url):
    """Thrown beside a running daemon it holds after restarts until somebody takes it back."""
    with closing(a_run(store_url)) as daemon:
        assert not daemon.is_killed()
        with closing(a_store(store_url, access=Access.READ)) as command:
            command.set_killed(True, actor="ann", reason="odd prices")
        assert daemon.is_killed()
        daemon.commit([tick(Scribe())])
    with closing(a_run(store_url)) as daemon:
        assert daemon.is_killed()
        assert daemon.standing().killed
        daemon.set_killed(False, actor="ann", reason="looked at")
        assert not daemon.is_killed()


def test_a_kill_by_the_engine_is_a_throw_of_the_switch(store_url):
    """A standing that says killed throws the switch; one that says otherwise never takes it back."""
    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        for killed, expected in ((True, True), (False, True)):
            record = tick(scribe)
            standing = StandingRestored(
                killed=killed,
                paused=False,
                latched=(),
                day="",
                realised_day=Decimal(0),
                realised_total=Decimal(0),
                realised_peak=Decimal(0),
            )
            store.commit([type(record)(envelope=record.envelope, outcome=record.outcome, standing=standing)])
            assert expected == store.is_killed()


def test_a_switch_that_cannot_be_read_counts_as_thrown(store_url):
    """Without the switch's table nobody may trade."""
    with closing(a_run(store_url)) as store:
        with store.database.write() as connection:
            connection.execute(text("DROP TABLE kill_switch"))
        assert store.is_killed()


def test_the_epoch_rises_with_every_run(store_url):
    """Each start gets a higher epoch, and the runs are listed with their end."""
    for expected in (1, 2, 3):
        with closing(a_store(store_url)) as store:
            assert expected == begin(store, run_id=f"r{expected}")
            if expected != 2:
                store.end_run()
    with closing(a_store(store_url)) as store:
        assert [("r1", True), ("r2", False), ("r3", True)] == [(run.run_id, run.ended_ns > 0) for run in store.runs()]


def test_a_fenced_run_commits_nothing_more(store_url):
    """When a later run took the store over, the earlier one is refused and its record is not there."""
    scribe = Scribe()
    with closing(a_run(store_url)) as store:
        store.commit([tick(scribe)])
        with closing(a_store(store_url, access=Access.READ)) as rival, rival.database.write() as connection:
            connection.execute(text("UPDATE head SET epoch = epoch + 1"))
        with pytest.raises(InvariantBroken, match="fenced"):
            store.commit([tick(scribe)])
        with pytest.raises(StoreFailed, match="failed before"):
            store.commit([tick(scribe)])
        assert 1 == len(list(store.iter_journal()))


def test_the_second_instance_is_refused_by_name(store_url):
    """Opening a store that is held says who holds it and what to do; when it is let go the next one gets it."""
    with (
        closing(a_store(store_url)),
        pytest.raises(UserError, match=r"another arbot holds this store: arbot pid \d+ on"),
    ):
        a_store(store_url)
    a_store(store_url).close()


def test_modes_never_share_a_store(store_url):
    """Demo money and live money do not meet: a store keeps the mode of its first run."""
    a_run(store_url).close()
    with pytest.raises(UserError, match="holds a demo account; this run is live"):
        a_run(store_url, mode="live")


def test_reading_makes_no_store(store_url, tmp_path):
    """A command that only looks refuses where there is nothing, and leaves nothing."""
    with pytest.raises(UserError, match="there is no store here"):
        a_store(store_url, access=Access.READ)
    assert [] == list(tmp_path.iterdir())


def test_another_schema_is_refused(store_url):
    """A store written by another version of the tables is not touched."""
    with closing(a_store(store_url)) as store, store.database.write() as connection:
        connection.execute(text("UPDATE meta SET value = '99' WHERE name = 'schema'"))
    with pytest.raises(UserError, match="schema 99"):
        a_store(store_url)


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "postgresql://x/y"])
def test_an_odd_url_is_the_users_mistake(url):
    """What is no URL, or of a database nobody tests with, is refused with an example."""
    with pytest.raises(UserError, match="sqlite:///"):
        a_store(url)


TAMPERED = {
    "an edited body": ("UPDATE journal SET body = replace(body, '0.04', '0.05') WHERE seq = 8", 8, "edited"),
    "an edited time": ("UPDATE journal SET ts_ns = ts_ns - 1 WHERE seq = 8", 8, "columns"),
    "an edited kind": ("UPDATE journal SET kind = 'TimerFired' WHERE seq = 8", 8, "columns"),
    "an edited hash": ("UPDATE journal SET hash = 'f' WHERE seq = 8", 8, "edited"),
    "a row gone": ("DELETE FROM journal WHERE seq = 8", 9, "rows are missing"),
    "the end gone": ("DELETE FROM journal WHERE seq = 12", 12, "does not end where the head says"),
    "a posting edited": (
        "UPDATE postings SET number = '7' WHERE reference = 'fill|kraken|O-1|T-1' AND line = 0",
        0,
        "zero",
    ),
    "a number that is none": ("UPDATE postings SET number = 'x' WHERE line = 0", 0, "cannot be read"),
    "a balance edited": (
        "UPDATE balances SET number = '7' WHERE account = 'assets:kraken' AND asset = 'BTC'",
        0,
        "sum to",
    ),
    "an order edited": ("UPDATE orders SET state = 'open' WHERE line = 0", 4, "differs from the journal in state"),
    "a filled quantity edited": ("UPDATE orders SET filled_qty = '0.05' WHERE line = 0", 4, "its fills sum to 0.10"),
    "a fill gone": ("DELETE FROM fills WHERE trade_id = 'T-2'", 9, "missing in the table"),
    "a transfer made up": (
        "INSERT INTO transfers VALUES ('kraken', 'X', 3, 'BTC', '1', '0', 'done', 5)",
        3,
        "is not in the journal",
    ),
    "an arb edited": ("UPDATE arbs SET state = 'flat'", 11, "differs from the journal in state"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_found_where_it_is(store_url, name):
    """Whatever row of journal or projections is edited, verify names it, at its journal number where it has one."""
    sql, seq, words = TAMPERED[name]
    with closing(a_run(store_url)) as store:
        store.commit(a_day(Scribe()))
        assert () == store.verify()
        with store.database.write() as connection:
            assert connection.execute(text(sql)).rowcount > 0
        assert [seq] == [problem.seq for problem in store.verify() if words in problem.what][:1]


def test_a_run_does_not_begin_on_an_edited_journal(sqlite_url):
    """An edited row anywhere in the journal refuses the next run and names its number; nothing is written."""
    with closing(a_run(sqlite_url)) as store:
        store.commit(a_day(Scribe()))
        with store.database.write() as connection:
            connection.execute(text("UPDATE journal SET body = replace(body, '0.04', '0.05') WHERE seq = 8"))
    with closing(a_store(sqlite_url)) as store:
        with pytest.raises(UserError, match="journal 8: was edited"):
            begin(store)
        assert 1 == len(store.runs())


def test_epochs_of_a_new_store_do_not_begin_again():
    """Two stores on one account get different epochs unless they begin in the same five minutes."""
    year_ns = 365 * 86_400 * 1_000_000_000
    start_ns = 1_767_225_600_000_000_000
    assert [0, 0, 1, 105_120] == [
        epoch_floor(ns) for ns in (0, start_ns, start_ns + 300_000_000_000, start_ns + year_ns)
    ]
    assert epoch_floor(start_ns + 15 * year_ns) < 36**4


def test_a_switch_released_between_runs_leaves_trading_paused(sqlite_url):
    """Kill, die, release: the next run finds the switch open and trading paused."""
    with closing(a_run(sqlite_url)) as store:
        killed = msgspec.structs.replace(STANDING, killed=True, paused=False)
        record = tick(Scribe())
        store.commit([msgspec.structs.replace(record, standing=killed)])
        store.set_killed(False, actor="person", reason="understood")
        assert (False, True) == (store.standing().killed, store.standing().paused)


def test_one_edit_in_the_journal_is_one_problem(store_url):
    """After an edited row the chain is followed on, so that the rows behind it are not accused."""
    with closing(a_run(store_url)) as store:
        store.commit(a_day(Scribe()))
        with store.database.write() as connection:
            connection.execute(text("UPDATE journal SET body = replace(body, '0.04', '0.05') WHERE seq = 8"))
        assert [8] == [problem.seq for problem in store.verify()]


def test_an_edit_with_a_fitting_hash_breaks_the_chain(store_url):
    """Whoever edits a row and computes its hash anew is found at the next row, which continues another one."""
    with closing(a_run(store_url)) as store:
        store.commit(a_day(Scribe()))
        with store.database.write() as connection:
            row = queries.journal_page(connection, after=7, limit=1)[0]
            body = row.body.replace("0.04", "0.05")
            forged = {"body": body, "hash": link(row.prev_hash, row.seq, row.epoch, body)}
            connection.execute(text("UPDATE journal SET body = :body, hash = :hash WHERE seq = 8"), forged)
        found = store.verify()
        assert (9, "does not continue 8: the chain is broken between them") == (found[0].seq, found[0].what)


def test_projections_are_rebuilt_from_the_journal(store_url):
    """Emptied or spoiled projections come back equal from the journal."""
    with closing(a_run(store_url)) as store:
        store.commit(a_day(Scribe()))
        before = (store.unsettled_orders(), store.all_balances(), store.trades())
        store.end_run()
        with store.database.write() as connection:
            for sql in (
                "DELETE FROM fills",
                "UPDATE balances SET number = '1'",
                "DELETE FROM arbs",
                "DELETE FROM orders",
            ):
                connection.execute(text(sql))
        assert () != store.verify()
        assert 12 == store.rebuild()
        assert before == (store.unsettled_orders(), store.all_balances(), store.trades())
        assert () == store.verify()


def test_a_lost_end_is_found_by_the_anchor(store_url, tmp_path):
    """A store set back to an older state has a sound chain; the anchor outside it shows what is missing."""
    anchor = tmp_path / "arbot.anchor"
    with closing(a_run(store_url, anchor=anchor)) as store:
        store.commit(a_day(Scribe()))
        store.end_run()
        with store.database.write() as connection:
            connection.execute(text("DELETE FROM journal WHERE seq > 11"))
            connection.execute(text("UPDATE head SET seq = 11, hash = (SELECT hash FROM journal WHERE seq = 11)"))
        store.rebuild()
        (problem,) = store.verify()
        assert "the journal ends here, but was anchored at 12" in problem.what
    with pytest.raises(UserError, match="anchored at 12"):
        a_run(store_url, anchor=anchor)
    anchor.unlink()
    with closing(a_store(store_url, anchor=anchor)) as store:
        assert "anchor" in store.verify()[0].what
        begin(store)
        assert () == store.verify()


def test_another_journal_under_the_same_anchor_is_found(tmp_path):
    """A journal that is as long but not the same does not fit the anchor."""
    anchor = tmp_path / "arbot.anchor"
    for name in ("one", "two"):
        with closing(a_run(f"sqlite:///{tmp_path}/{name}.db", anchor=anchor if name == "one" else None)) as store:
            store.commit([tick(Scribe())] if name == "one" else [Scribe().filled()])
            store.end_run()
    with closing(a_store(f"sqlite:///{tmp_path}/two.db", anchor=anchor)) as store:
        assert ["differs from what was anchored: this is another journal"] == [one.what for one in store.verify()]


def test_an_unreadable_anchor_is_the_users_mistake(sqlite_url, tmp_path):
    """A damaged anchor stops the start with its path."""
    a_run(sqlite_url).close()
    (tmp_path / "arbot.db.anchor").write_text("{")
    with pytest.raises(UserError, match=r"arbot\.db\.anchor: the anchor cannot be read"):
        a_run(sqlite_url)


def test_verify_looks_at_one_moment_beside_a_running_daemon(store_url):
    """A second process verifies a store that is being written, and finds it sound."""
    scribe = Scribe()
    with closing(a_run(store_url)) as daemon, closing(a_store(store_url, access=Access.READ)) as command:
        for _ in range(5):
            daemon.commit([scribe.filled(trade_id=f"T-{scribe.step}")])
            daemon.write_anchor()
            assert () == command.verify()


def test_a_store_in_memory_works_for_what_needs_no_file():
    """A memory store commits and verifies, without lock and anchor."""
    with closing(a_run("sqlite://")) as store:
        store.commit(a_day(Scribe()))
        assert () == store.verify()


def test_fills_are_found_again_when_their_order_left_memory(sqlite_url, monkeypatch):
    """A late duplicate of an order that is no longer kept in memory is still a duplicate."""
    monkeypatch.setattr("arbot.journal.projection.ORDERS_KEPT", 1)
    scribe = Scribe()
    with closing(a_run(sqlite_url)) as store:
        for arb in range(1, 4):
            store.commit([tick(scribe, opened(an_intent(arb)))])
            store.commit(
                [scribe.filled(client_order_id=order_name(arb), venue_order_id=f"O-{arb}", qty=Decimal("0.04"))]
            )
        store.commit([scribe.filled(client_order_id=order_name(1), venue_order_id="O-1", qty=Decimal("0.04"))])
        assert 1 == len(store.order(order_name(1)).fills)
        assert a_fill().side == store.order(order_name(1)).fills[0].side
        assert () == store.verify()
