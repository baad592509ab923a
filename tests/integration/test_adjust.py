"""A difference that a person explained is booked once, with its reason, and only while no daemon runs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from arbot.domain.errors import UserError
from arbot.domain.events import AdjustmentRecorded
from arbot.domain.ids import VenueId
from arbot.journal.store import SqlStore
from arbot.runtime.adjust import record_adjustment
from arbot.runtime.clock import SystemClock
from arbot.runtime.state_dir import DaemonInfo, StateDir, read_daemon
from arbot.settings.defaults import demo


def adjustment(venue: str = "kraken", number: str = "12.34", reason: str = "airdrop") -> AdjustmentRecorded:
    return AdjustmentRecorded(venue=VenueId(venue), asset="USD", qty=Decimal(number), reason=reason, actor="test")


def test_it_is_booked_and_verified(tmp_path: Path):
    """Two adjustments of the same number are two transactions, and the store verifies."""
    settings = demo(tmp_path)
    for _ in range(2):
        record_adjustment(settings, adjustment())
    store = SqlStore.open(settings.store_url(), now_ns=SystemClock().now_ns)
    try:
        assert store.balances("assets:kraken") == (("USD", Decimal("24.68")),)
        assert store.verify() == ()
    finally:
        store.close()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (adjustment(venue="krakn"), "not configured"),
        (adjustment(number="0"), "zero changes nothing"),
        (adjustment(reason=" "), "say what explains"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, wrong: AdjustmentRecorded, told: str):
    """An unknown venue, a zero, and a missing reason are mistakes of the user, and nothing is written."""
    settings = demo(tmp_path)
    with pytest.raises(UserError, match=told):
        record_adjustment(settings, wrong)
    assert not settings.run.state_dir.exists()


def test_a_running_daemon_keeps_others_out(tmp_path: Path):
    """While the state folder is locked nobody else writes, and others can read who holds it."""
    settings = demo(tmp_path)
    info = DaemonInfo(pid=1, mode="demo", url="http://127.0.0.1:1", token_file="token")
    with StateDir(settings.run.state_dir) as state:
        state.announce(info)
        assert read_daemon(settings.run.state_dir) == info
        with pytest.raises(UserError, match="another daemon uses"):
            record_adjustment(settings, adjustment())
    assert read_daemon(settings.run.state_dir) is None
