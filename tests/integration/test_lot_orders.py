"""Is the choice of lots in the journal before the order leaves, and is what cannot count refused?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.domain.events import LotOrderRecorded, LotsPicked
from arbot.domain.history import LotMethod, PickedLot
from arbot.journal.store import SqlStore
from arbot.ledger.lots.policy import Custody, Pool
from arbot.runtime.alone import record_alone
from arbot.runtime.clock import SystemClock
from arbot.runtime.lot_orders import order_to_record, record_choice
from arbot.settings.defaults import demo
from arbot.settings.model import Settings
from arbot.tax.history import open_history

HALF = (PickedLot("L1", Decimal("0.5")),)


@contextmanager
def stored(settings: Settings) -> Iterator[SqlStore]:
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        yield store
    finally:
        store.close()


def order(method: LotMethod, *, actor: str = "me", venue: str = "", asset: str = "") -> LotOrderRecorded:
    return LotOrderRecorded(method=method, actor=actor, venue=venue, asset=asset)


def test_a_configured_method_is_recorded_once_and_again_when_it_changes(tmp_path: Path):
    """Record nothing for FIFO, a new method once, the way back too; a person's order is not undone by the next start."""
    settings = demo(tmp_path)
    told = []
    for method in (LotMethod.FIFO, LotMethod.HIFO, LotMethod.HIFO, LotMethod.FIFO, LotMethod.FIFO):
        with stored(settings) as store:
            wanted = order_to_record(store, method)
        told.append(wanted is not None)
        if wanted is not None:
            record_alone(settings, wanted, "lots", "test")
        record_choice(settings, order(LotMethod.LIFO))
    assert told == [False, True, False, True, False]


def test_orders_and_picks_come_out_as_policy(tmp_path: Path):
    """Read back scope, method, moment, and whether the broker was told, beside what the configuration says."""
    settings = demo(tmp_path, {"tax": {"pool": "until-2025", "custody": {"kraken": "self"}}})
    record_choice(settings, order(LotMethod.HIFO, venue="kraken", asset="BTC"))
    record_choice(settings, LotsPicked(disposal="kraken:T9", lots=HALF, is_told_to_broker=True))
    with stored(settings) as store:
        policy = open_history(store, settings.tax).policy()
        assert store.verify() == ()

    (one,), pick = policy.orders, policy.picks["kraken:T9"]
    assert (one.method, one.account, one.asset, one.told_broker_ns) == (LotMethod.HIFO, "kraken", "BTC", 0)
    assert 0 < one.recorded_ns < pick.recorded_ns == pick.told_broker_ns
    assert (pick.lots, policy.pool, policy.custody) == (HALF, Pool.UNTIL_2025, {"kraken": Custody.SELF})
    assert policy.method is LotMethod.FIFO


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (order(LotMethod.AVERAGE), "no order of lots"),
        (order(LotMethod.LIFO, venue="krakn"), "is not known"),
        (order(LotMethod.LIFO, asset="btc"), "is not an asset"),
        (LotsPicked(disposal="x", lots=()), "no lot is named"),
        (LotsPicked(disposal="x", lots=(*HALF, *HALF)), "named twice"),
        (LotsPicked(disposal="x", lots=(PickedLot("L1", Decimal(0)),)), "is nothing"),
    ],
)
def test_what_cannot_count_is_refused(tmp_path: Path, wrong: LotOrderRecorded | LotsPicked, told: str):
    """Write nothing that would be void, and say what is wrong."""
    settings = demo(tmp_path)
    with pytest.raises(UserError, match=told):
        record_choice(settings, wrong)
    with stored(settings) as store:
        assert store.head().seq == 0
