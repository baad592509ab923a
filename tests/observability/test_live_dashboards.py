"""A real Prometheus scrapes a real daemon on pretend venues: does every panel of every dashboard show something?"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from arbot.observe.catalogue import CATALOGUE
from arbot.observe.catalogue.words import SERIES_MAX
from tests.support import dashboard_check
from tests.support.alert_chain import Pace, alert_chain, missing
from tests.support.live_queries import Asked
from tests.support.observed_desk import address_of, exercise, listening, looking, observed

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing()), pytest.mark.timeout(300)]

FOLDER = Path(__file__).parents[2] / "config" / "grafana" / "dashboards"
PACE = Pace(factor=1.0, for_s_max=3_600.0)
SPAN = {"__interval": "1s", "__rate_interval": "10s", "__range": "2m"}
SETTLE_S = 60.0  # until everything has an answer; reached only by a failing test


async def test_every_panel_and_variable_has_an_answer(tmp_path: Path) -> None:
    """After a lively demo no query is empty, no colour is for a series that is not, every series is known, and not too many."""
    boards = dashboard_check.load(FOLDER)
    queries = [query for board in boards for query in dashboard_check.queries(board)]
    with listening() as (webhook, _told), observed(tmp_path, webhook) as desk, desk.daemon() as daemon:
        await asyncio.to_thread(daemon.wait, lambda status: status["may_open"], "a reason to trade")
        since_s = time.time()  # noqa: TID251 - Prometheus' own clock
        async with alert_chain(tmp_path / "chain", address_of(daemon), pace=PACE) as chain:
            with looking(daemon):
                fired = Asked(chain.prometheus, since_s, since_s, {}).fetch
                await asyncio.to_thread(
                    exercise,
                    daemon,
                    lambda: fired("query", query='ALERTS{alertname="ArbotKillSwitchEngaged"}')["result"],
                )
                faults = await asyncio.to_thread(_settled, chain.prometheus, since_s, queries)
            text = await asyncio.to_thread(daemon.metrics)
            ended = await asyncio.to_thread(daemon.stop)

    assert "" == "\n".join(f"{where}: {why}" for where, why in faults.items())
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ours = {name for name in families if name.startswith("arbot_")}
    assert set() == ours - {name.removesuffix("_total") for name in CATALOGUE} - set(CATALOGUE)
    told = {value for family in families.values() for sample in family.samples for value in sample.labels.values()}
    assert set() == set().union(*map(dashboard_check.colored, boards)) - told
    assert sum(len(family.samples) for family in families.values()) <= SERIES_MAX
    assert "" == _complaints(text)
    assert 0 == ended.code, ended


def _settled(prometheus: str, since_s: float, queries: list[dashboard_check.Query]) -> dict[str, str]:
    """Return what still has no answer when there is no more hope."""
    deadline_s = time.monotonic() + SETTLE_S  # noqa: TID251 - a bound of a test
    while True:
        now_s = time.time()  # noqa: TID251 - Prometheus' own clock
        asked = Asked(prometheus, since_s, now_s, dashboard_check.VALUES | SPAN)
        faults = asked.faults(queries)
        if not faults or time.monotonic() > deadline_s:  # noqa: TID251
            return faults
        queries = [query for query in queries if query.where in faults]
        time.sleep(1)


def _complaints(text: str) -> str:
    assert shutil.which("promtool"), "no promtool: install Debian's package prometheus"
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout + done.stderr
