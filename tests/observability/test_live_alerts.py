"""Every alert, from trouble to a person: a real daemon, its numbers with faults planted, Prometheus, Alertmanager, a webhook."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.support.alert_chain import PROMETHEUS, Chain, Pace, alert_chain, missing
from tests.support.altered import Exporter, Plant, exporting
from tests.support.observed_desk import listening, observed
from tests.support.planted import CALM, DONE, MANY, NOTHING, STOPPED

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing()), pytest.mark.timeout(300)]

PACE = Pace(factor=0.0003, waits=0.0003, range_s_min=4.0, every="500ms")  # six hours are six seconds
HEAR_S = 45.0  # bound of each wait; reached only by a failing test


def test_there_is_a_trouble_for_every_alert() -> None:
    """No rule is without the trouble that raises it, and no trouble is of an alert that there is not."""
    rules = [
        rule["alert"]
        for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert sorted(rules) == sorted((*MANY, *STOPPED, *NOTHING, *DONE))


async def test_every_trouble_reaches_a_person_and_ends(tmp_path: Path) -> None:
    """Each alert fires when its trouble comes, is told with what to do, and is told to be over when it is."""
    with listening() as (webhook, _told), observed(tmp_path, webhook) as desk, desk.daemon() as daemon:
        await asyncio.to_thread(daemon.wait, lambda status: status["totals"]["arbs_flat"] >= 1, "trades")
        async with (
            exporting(daemon.metrics, *CALM) as (exporter, target),
            alert_chain(tmp_path / "chain", target, pace=PACE) as chain,
        ):
            await chain.firing("Watchdog", within_s=HEAR_S)
            for act in (MANY, STOPPED, NOTHING):
                await _act(chain, exporter, act)

            assert (await asyncio.to_thread(desk.run, "kill", "--reason", "test")).code == 0
            await chain.firing("ArbotKillSwitchEngaged", within_s=HEAR_S)
            assert (await asyncio.to_thread(desk.run, "unkill", "--reason", "test")).code == 0
            await chain.resolved("ArbotKillSwitchEngaged", within_s=HEAR_S)

            os.kill(daemon.process.pid, signal.SIGSTOP)
            await chain.firing("ArbotDown", within_s=HEAR_S)
            os.kill(daemon.process.pid, signal.SIGCONT)
            await chain.resolved("ArbotDown", within_s=HEAR_S)

            chain.aim()
            await chain.firing("ArbotAbsent", within_s=HEAR_S)
            chain.aim(target)
            await chain.resolved("ArbotAbsent", within_s=HEAR_S)
        assert (await asyncio.to_thread(daemon.stop)).code == 0


async def _act(chain: Chain, exporter: Exporter, act: Mapping[str, tuple[Plant, ...]]) -> None:
    """Plant the troubles of an act; wait until each is told; take them away; wait until each is told to be over."""
    await _quiet(chain, set(act))
    chain.forget()
    exporter.plant(*(plant for plants in act.values() for plant in plants))
    for name in act:
        told = await chain.firing(name, within_s=HEAR_S)
        assert told.annotations["runbook_url"].endswith(name)
        assert told.annotations["summary"]
    exporter.plant()
    for name in act:
        await chain.resolved(name, within_s=HEAR_S)


async def _quiet(chain: Chain, names: set[str]) -> None:
    """Wait until none of these alerts fires: what is heard afterwards comes from what was planted."""
    async with asyncio.timeout(HEAR_S):
        while names & {one["labels"]["alertname"] for one in await chain.pending_or_firing()}:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)
