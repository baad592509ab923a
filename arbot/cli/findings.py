"""How commands say what is wrong with recorded data: one block per code, with what to do, and whom it is said of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arbot.tape.importing.contract import Finding

SENTENCES_SHOWN = 6
NAMES_SHOWN = 24


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield findings as lines of text: the worst first; a long list is cut, and says by how much."""
    from arbot.tape.inspect.groups import grouped, names_of

    for group in grouped(findings):
        yield f"{group.severity.value:5} {group.code}" + (f"  -> {group.remedy}" if group.remedy else "")
        for said in group.said[:SENTENCES_SHOWN]:
            names = names_of(said, NAMES_SHOWN)
            yield f"      {names}: {said.detail}" if names else f"      {said.detail}"
        if len(group.said) > SENTENCES_SHOWN:
            yield f"      ... and {len(group.said) - SENTENCES_SHOWN} more; --json has all"
