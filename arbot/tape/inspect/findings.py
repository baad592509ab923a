"""The table of rules: what each finding is called, how bad it is, and what to do about it.

ERROR blocks a backtest unless overridden, WARN stands with every report, INFO is listed. Codes that only an import can
see (file names, units, levels, sequence numbers, failed polls) come out of the import reports and are merged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from arbot.tape.importing.contract import Finding, ImportReport, Severity
from arbot.tape.inspect.rules import across, bars, streams
from arbot.tape.inspect.rules.evidence import Evidence, Found


class Rule(NamedTuple):
    """One row of the table."""

    code: str
    severity: Severity
    find: Callable[[Evidence], Iterator[Found]]
    remedy: str


RULES: tuple[Rule, ...] = (
    Rule("crossed", Severity.ERROR, streams.crossed, "compare with --remove-crossed; a replay trades on no crossed book"),
    Rule("locked", Severity.INFO, streams.locked, "nothing: there is no edge in it"),
    Rule("zero_price", Severity.ERROR, streams.zero_price, "such moments count as no quote; leave them out when importing"),
    Rule("alias", Severity.ERROR, across.alias, "keep one of the two"),
    Rule("constant", Severity.ERROR, streams.constant, "leave this series out"),
    Rule("zero_volume", Severity.WARN, bars.zero_volume, "such bars are left out of all statistics"),
    Rule("lone_print", Severity.WARN, bars.lone_print, "leave the prints and their repeats out"),
    Rule("frozen", Severity.WARN, streams.frozen, "count a quote's age from its last change, or leave the series out"),
    Rule("venue_label", Severity.WARN, bars.venue_label, "import again with the right --venue"),
    Rule("gap", Severity.WARN, streams.gap, "nothing is carried across a gap longer than --fresh"),
    Rule("whole_seconds", Severity.WARN, streams.whole_seconds, "claim nothing below 2 s: latency of 2 s or more"),
    Rule("clock_behind", Severity.WARN, streams.clock_behind, "the receive time orders events and is no measure of delay"),
    Rule("no_exchange_time", Severity.INFO, streams.no_exchange_time, "take delays from elsewhere"),
    Rule("shared_stamp", Severity.WARN, across.shared_stamp, "claim nothing below the polling step"),
    Rule("phase_lag", Severity.WARN, across.phase_lag, "compare results at several --fresh"),
    Rule("delta_before_snapshot", Severity.INFO, streams.delta_before_snapshot, "import again, snapshot first or included"),
    Rule("quote_currency", Severity.ERROR, across.quote_currency, "compare within one quote asset, or give a rate"),
    Rule("contract_size", Severity.ERROR, streams.contract_size, "import again with --contract-size"),
    Rule("retail_price", Severity.WARN, across.retail_price, "leave this venue out"),
    Rule("offset", Severity.WARN, across.offset, "needs stock on both venues and a model of transfers"),
    Rule("bar_label", Severity.INFO, streams.bar_label, "such data is known only at its end, and is not executable"),
    Rule("async_close", Severity.WARN, bars.async_close, "do not compare these closes"),
    Rule("order", Severity.ERROR, streams.order, "they are sorted stably; below 0.1 % only counted"),
    Rule("trade_time_as_quote_time", Severity.WARN, streams.trade_time, "use the receive time"),
    Rule("truncated", Severity.WARN, streams.truncated, "use the time that all series cover"),
)  # fmt: skip

_ORDER = {Severity.ERROR: 0, Severity.WARN: 1, Severity.INFO: 2}


def findings_of(
    evidence: Evidence, imports: Iterable[ImportReport] = (), damage: Iterable[Finding] = ()
) -> tuple[Finding, ...]:
    """Return everything the rules find and the imports left, the worst first; what an import said again comes once."""
    found = [
        Finding(
            code=rule.code,
            severity=one.severity or rule.severity,
            series=one.series,
            detail=one.detail,
            count=one.count,
            share=one.share,
            first_ts_ns=one.first_ts_ns,
            last_ts_ns=one.last_ts_ns,
            remedy=one.remedy or rule.remedy,
        )
        for rule in RULES
        for one in rule.find(evidence)
    ]
    told = list(dict.fromkeys(finding for report in imports for finding in report.findings))
    every = [*_once(found, told), *damage]
    return tuple(sorted(every, key=lambda finding: (_ORDER[finding.severity], finding.code, finding.series)))


def _once(found: Iterable[Finding], told: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings without what an import and a rule both say of a series: the graver of the two, else the rule's."""
    found, told = list(found), list(told)
    rules: dict[tuple[str, str], int] = {}
    for one in found:
        rules[_place(one)] = min(rules.get(_place(one), _ORDER[one.severity]), _ORDER[one.severity])
    graver = {_place(one) for one in told if _ORDER[one.severity] < rules.get(_place(one), -1)}
    yield from (one for one in found if _place(one) not in graver)
    yield from (one for one in told if _place(one) not in rules or _place(one) in graver)


def _place(finding: Finding) -> tuple[str, str]:
    """Return what a finding is about.

    An import names the bars of a market like the market, and a market of unknown kind is one of sizes that nobody knows.
    """
    code = "contract_size" if finding.code == "market" else finding.code
    return code, finding.series.removesuffix(" bars") if finding.series else finding.file


def exit_status(findings: Iterable[Finding]) -> int:
    """Return 0 without a warning, 1 with warnings, 2 with errors."""
    worst = {finding.severity for finding in findings}
    return 2 if Severity.ERROR in worst else 1 if Severity.WARN in worst else 0
