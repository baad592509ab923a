"""The page's own files, read once when it starts: nothing else can be asked for, and nothing is read while it runs.

Third-party files lie in assets/vendor beside their licence and the SHA-256 of each (vendor.toml), which a test compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

FOLDER = Path(__file__).with_name("assets")
INDEX = "index.html"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


class Asset(msgspec.Struct, frozen=True):
    """A file as it is sent. `etag` is a hash of what is in it: whoever has that one is told so, in no bytes."""

    body: bytes
    content_type: str
    etag: str


Assets = Mapping[str, Asset]


def load_assets(folder: Path = FOLDER) -> Assets:
    """Return every file that the page may ask for, by its path within the folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES and path.is_file())
    return {path.relative_to(folder).as_posix(): _read(path) for path in files}


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32])
