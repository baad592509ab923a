"""The rules and routes of config/ in a real Prometheus and a real Alertmanager, against a daemon that is only its numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from tests.support.alert_chain import Pace, alert_chain, missing, served

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

HEAR_S = 20.0  # bound of each wait; reached only by a failing test
PACE = Pace(factor=0.01, every="500ms", range_s_min=2.0, waits=0.01)  # a minute is 0.6 s
SLOW = Pace(factor=0.05, for_s_max=9.0, every="500ms", waits=0.002)  # a minute is 3 s, and messages leave before that


class Numbers:
    """A page with a few metrics; None is a daemon that does not answer."""

    def __init__(self) -> None:
        self.values: dict[str, float] | None = {
            'arbot_kill_switch_engaged{scope="all"}': 0,
            "arbot_config_last_reload_successful": 1,
        }

    async def page(self, _request: web.Request) -> web.Response:
        """Answer a scrape."""
        if self.values is None:
            return web.Response(status=503)
        return web.Response(text="".join(f"{name} {value}\n" for name, value in self.values.items()))


async def test_an_alert_reaches_a_person_and_ends(tmp_path: Path) -> None:
    """Tell somebody that the kill switch is engaged, with what to do, and that it is no longer; and keep the watchdog alive."""
    numbers = Numbers()
    app = web.Application()
    app.router.add_get("/metrics", numbers.page)
    async with served(app) as target, alert_chain(tmp_path, target, pace=PACE) as chain:
        assert numbers.values is not None
        watchdog = await chain.firing("Watchdog", within_s=HEAR_S)
        numbers.values['arbot_kill_switch_engaged{scope="all"}'] = 1
        told = await chain.firing("ArbotKillSwitchEngaged", within_s=HEAR_S)
        numbers.values['arbot_kill_switch_engaged{scope="all"}'] = 0
        await chain.resolved("ArbotKillSwitchEngaged", within_s=HEAR_S)

    assert "dead-mans-switch" == watchdog.receiver
    assert ("page", "all") == (told.receiver, told.labels["scope"])
    assert f"{target}: the kill switch is engaged" in told.annotations["summary"]
    assert told.annotations["runbook_url"].endswith("ArbotKillSwitchEngaged")


async def test_a_daemon_that_hangs_resolves_nothing(tmp_path: Path) -> None:
    """Page that the daemon is gone, and do not call what it had complained about resolved just because it says nothing."""
    numbers = Numbers()
    app = web.Application()
    app.router.add_get("/metrics", numbers.page)
    async with served(app) as target, alert_chain(tmp_path, target, pace=SLOW) as chain:
        assert numbers.values is not None
        numbers.values["arbot_config_last_reload_successful"] = 0
        warned = await chain.firing("ArbotConfigReloadFailed", within_s=HEAR_S)
        numbers.values = None
        down = await chain.firing("ArbotDown", within_s=HEAR_S)
        numbers.values = {"arbot_config_last_reload_successful": 0}
        await chain.resolved("ArbotDown", within_s=HEAR_S)

    assert ("warn", "page") == (warned.receiver, down.receiver)
    assert [] == [one for one in chain.told if (one.name, one.status) == ("ArbotConfigReloadFailed", "resolved")]
