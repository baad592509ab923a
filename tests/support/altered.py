"""An exporter that passes on another's metrics with faults planted in them: what an alert would see if that happened.

A fault changes the samples of one metric whose labels include those given; where there is none, it adds one. The real
daemon stays behind it, so everything else an alert looks at is as in life.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from tests.support.alert_chain import served

How = Literal["set", "rise", "ago", "drop"]


@dataclass(frozen=True)
class Plant:
    """One fault: `set` the value; let it `rise` by the value each second; a moment so many seconds `ago`; `drop` the series."""

    name: str
    how: How
    value: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Exporter:
    """What is passed on, and what is planted. `calm` is planted all the time, before the rest: what is not the subject."""

    source: Callable[[], str]
    calm: Sequence[Plant] = ()
    plants: Sequence[Plant] = ()
    since: float = 0.0

    def plant(self, *plants: Plant) -> None:
        """Plant faults in place of those before."""
        self.since = time.time()  # noqa: TID251 - what Prometheus compares with
        self.plants = plants

    def text(self) -> str:
        """Return the exposition of this moment. Raises: OSError when the source does not answer."""
        now = time.time()  # noqa: TID251 - what Prometheus compares with
        return altered(self.source(), (*self.calm, *self.plants), now=now, age_s=now - self.since)


def altered(text: str, plants: Sequence[Plant], *, now: float, age_s: float) -> str:
    """Return an exposition with faults planted `age_s` ago."""
    samples = [
        (sample.name, dict(sample.labels), float(sample.value))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    for plant in plants:
        samples = list(_planted(samples, plant, now=now, age_s=age_s))
    return "".join(f"{name}{_braces(labels)} {value!r}\n" for name, labels, value in samples)


def _planted(
    samples: Sequence[tuple[str, dict[str, str], float]], plant: Plant, *, now: float, age_s: float
) -> Iterator[tuple[str, dict[str, str], float]]:
    found = False
    for name, labels, value in samples:
        if name != plant.name or not plant.labels.items() <= labels.items():
            yield name, labels, value
            continue
        found = True
        if plant.how != "drop":
            yield name, labels, _value(plant, value, now=now, age_s=age_s)
    if not found and plant.how != "drop":
        yield plant.name, dict(plant.labels), _value(plant, 0.0, now=now, age_s=age_s)


def _value(plant: Plant, value: float, *, now: float, age_s: float) -> float:
    if plant.how == "rise":
        return value + plant.value * age_s
    return now - plant.value if plant.how == "ago" else plant.value


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _braces(labels: Mapping[str, str]) -> str:
    return (
        "{" + ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items()) + "}" if labels else ""
    )


@asynccontextmanager
async def exporting(source: Callable[[], str], *calm: Plant) -> AsyncIterator[tuple[Exporter, str]]:
    """Serve an exporter on a free port of loopback; yield it and its host:port."""
    exporter = Exporter(source, calm)

    async def metrics(_request: web.Request) -> web.Response:
        try:
            return web.Response(text=await asyncio.to_thread(exporter.text), content_type="text/plain")
        except OSError:
            return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with served(app) as address:
        yield exporter, address
