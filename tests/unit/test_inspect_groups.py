"""Findings as people read them: one block per fault, and nothing said twice."""

from __future__ import annotations

from arbot.cli.findings import finding_lines
from arbot.tape.importing.contract import Finding, Severity
from arbot.tape.inspect.findings import findings_of
from arbot.tape.inspect.groups import grouped, names_of
from arbot.tape.inspect.rules.evidence import Evidence, Stream
from arbot.tape.inspect.series import series_stats
from arbot.tape.schema import Clocks, Market
from tests.support.inspected import report_of_import, stream


def finding(code: str, series: str, detail: str = "so", severity: Severity = Severity.WARN, **more: object) -> Finding:
    return Finding(code=code, series=series, detail=detail, severity=severity, **more)


def test_one_fault_of_many_series_is_one_line():
    """What is said of several series is said once, with the venues of a market together, the worst code first."""
    names = ("BTC/USD@kraken", "BTC/USD@coinbase", "ETH/USD@kraken", "BTC/USD@kraken bars", "BTC/USD@okx bars")
    findings = [finding("gap", "BTC/USD@kraken", "other"), *(finding("frozen", name) for name in names)]
    groups = grouped([*findings, finding("crossed", "A|B", severity=Severity.ERROR)])
    assert ["crossed", "gap", "frozen"] == [group.code for group in groups]
    (said,) = groups[2].said
    assert "BTC/USD@{kraken, coinbase}, ETH/USD@kraken, bars of BTC/USD@{kraken, okx}" == names_of(said, 9)
    assert "BTC/USD@{kraken, coinbase} and 3 more" == names_of(said, 2)


def test_a_long_list_is_cut_and_says_so():
    """Ten sentences of one code become six, and a line that says how many there are more."""
    lines = list(finding_lines([finding("gap", "BTC/USD@kraken", f"gap {number}") for number in range(10)]))
    assert 1 + 6 + 1 == len(lines)
    assert "... and 4 more; --json has all" == lines[-1].strip()


def test_an_import_and_a_rule_say_a_thing_once():
    """Of what both an import and a rule say of a series the graver stays, and the rule's where they are alike."""
    walked = stream("kraken", [(100, 101)] * 3, market=Market.INVERSE, contract_size="10 USD", clocks=Clocks.RECV_ONLY)
    evidence = Evidence([Stream(walked, series_stats(walked))])
    name = walked.meta.instrument.id
    told = (
        finding("contract_size", name, "is inverse", Severity.INFO),
        finding("no_exchange_time", name, "the clock may be anybody's", Severity.WARN),
        finding("tick", name, "only an import knows", Severity.INFO),
    )
    found = findings_of(evidence, [report_of_import(*told)])
    assert {"contract_size": 1, "no_exchange_time": 1, "tick": 1} == {
        code: sum(one.code == code for one in found) for code in ("contract_size", "no_exchange_time", "tick")
    }
    assert "10 USD" in next(one.detail for one in found if one.code == "contract_size")
    assert Severity.WARN is next(one.severity for one in found if one.code == "no_exchange_time")
