"""manifest.json: what the bundle is, what it was made of, and the digest of every other file."""

from __future__ import annotations

import msgspec

from arbot.tax.bundle.folder import BUNDLE, MANIFEST, Folder
from arbot.tax.bundle.told import Told

FORMAT = 1


def write_manifest(folder: Folder, told: Told) -> None:
    """Write it, last of all. Keys are sorted; there is no time of writing, so that equal input gives equal bytes."""
    content = {
        "bundle": BUNDLE,
        "format": FORMAT,
        "country": told.country,
        "year": told.year,
        "method": told.method,
        "settings": told.settings,
        "counts": told.counts,
        "ledger_head": told.ledger_head,
        "mode": told.mode,
        "code_version": told.code_version,
        "warnings": told.warnings,
        "accepted": told.accepted,
        "files": folder.digests(),
    }
    text = msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2)
    (folder.path / MANIFEST).write_bytes(text + b"\n")
