"""The United States as a country: what the registry knows of it. Its rules are in the modules beside this one."""

from __future__ import annotations

from typing import Final

from arbot.domain.history import LotMethod
from arbot.ledger.jurisdictions.base import Country, CountryOptions, Rule, TermJudge
from arbot.ledger.jurisdictions.us.run import UsRun
from arbot.ledger.jurisdictions.us.terms import Terms
from arbot.ledger.lots.policy import LotPolicy

_READ = "2026-11-22"


def _begin(policy: LotPolicy, options: CountryOptions) -> UsRun:
    return UsRun(policy, options.timezone)


def _term(timezone: str) -> TermJudge:
    return Terms(timezone).is_long


UNITED_STATES: Final = Country(
    code="us",
    name="United States",
    ccy="USD",
    timezone="UTC",
    year_begins=(1, 1),
    methods=(LotMethod.FIFO, LotMethod.LIFO, LotMethod.HIFO, LotMethod.LOFO),
    method_default=LotMethod.FIFO,
    run=_begin,
    term=_term,
    has_local_options=False,
    rules=(
        Rule("Lots are kept per wallet or account since 2025-01-01", "26 CFR 1.1012-1(j)(1), (j)(3)(i), (j)(6)", _READ),
        Rule("Earliest acquired first unless units are identified in time", "26 CFR 1.1012-1(j)(2)-(4)", _READ),
        Rule("Costs of asset for asset go to the asset given up", "26 CFR 1.1001-7(b)(2)(ii)", _READ),
        Rule("Units withheld as a fee come from the units received, gain zero", "26 CFR 1.1012-1(j)(3)(iii)", _READ),
        Rule("Long is more than one year, counted from the day after acquisition", "Instructions for Form 8949", _READ),
        Rule("The pool before 2025 is allocated to accounts as of 2025-01-01", "Rev. Proc. 2024-28", _READ),
    ),
)
