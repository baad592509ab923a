"""Asks a Prometheus every question of a dashboard, as Grafana would, and says which ones have no answer."""

from __future__ import annotations

import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tests.support.dashboard_check import Query, substituted


class Asked(msgspec.Struct, frozen=True):
    """A question over a span of time, with the variables' values."""

    prometheus: str
    since_s: float
    until_s: float
    values: Mapping[str, str]

    def fetch(self, path: str, **parameters: str) -> Any:
        """Return the data of an API call. Raises: AssertionError with Prometheus' own words."""
        url = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
                return msgspec.json.decode(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def fault_of(self, query: Query) -> str:
        """Return why a query would draw nothing, empty when it draws something."""
        expr = substituted(query.expr, self.values)
        if query.label:
            return (
                "" if self.fetch(f"label/{query.label}/values", **({"match[]": expr} if expr else {})) else "no value"
            )
        told = self.fetch("query_range", query=expr, start=str(self.since_s), end=str(self.until_s), step="1")["result"]
        numbers = [float(value) for series in told for _, value in series["values"]]
        if not numbers:
            return f"no series: {expr}"
        return f"only NaN: {expr}" if all(math.isnan(number) for number in numbers) else ""

    def faults(self, queries: Iterable[Query]) -> dict[str, str]:
        """Return why, by where, of every query that would draw nothing."""
        told = ((query.where, self.fault_of(query)) for query in queries)
        return {where: why for where, why in told if why}
