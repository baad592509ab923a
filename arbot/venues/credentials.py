"""Where API keys come from: a file of mode 0600, or the environment as a last resort. Never a command line.

Two file formats: {"key": ..., "secret": ...} for every venue, and the file Coinbase lets one download,
{"name": "organizations/...", "privateKey": "-----BEGIN EC PRIVATE KEY-----..."}.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from arbot.domain.errors import Mistake, UserError
from arbot.ports import Credentials, Secret, VenueConfig

BYTES_MAX = 16_384
_FORMATS = (("key", "secret"), ("name", "privateKey"))


def load_credentials(
    config: VenueConfig, path: Path | None, environ: Mapping[str, str], owner: int | None = None
) -> Credentials:
    """Return the key pair of a venue from `path`, or else from ARBOT_<VENUE>_KEY and ARBOT_<VENUE>_SECRET.

    `owner` is the user id the file must belong to (ours unless given). Raises: UserError naming what to mend.
    """
    key, secret = (
        _from_file(path, os.getuid() if owner is None else owner, environ)
        if path is not None
        else _from_environment(config, environ)
    )
    where = str(path) if path is not None else f"environment of {config.venue}"
    mistakes = _format_mistakes(config, where, key, secret)
    if mistakes:
        raise UserError(*mistakes)
    return Credentials(key=Secret(key), secret=Secret(secret))


def _from_file(path: Path, owner: int, environ: Mapping[str, str]) -> tuple[str, str]:
    where = str(path)
    text = read_private(path, owner, setting="key_file", environ=environ)
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise UserError(Mistake(where, "is not a JSON object", 'write {"key": "...", "secret": "..."}')) from error
    for key_field, secret_field in _FORMATS:
        key, secret = found.get(key_field), found.get(secret_field)
        if isinstance(key, str) and isinstance(secret, str):
            return key.strip(), _in_lines(secret.strip())
    raise UserError(
        Mistake(where, "holds neither key and secret nor name and privateKey", 'write {"key": "...", "secret": "..."}')
    )


def read_private(path: Path, owner: int, *, setting: str, environ: Mapping[str, str] = os.environ) -> bytes:
    """Return what is in a file that only `owner` may read. Raises: UserError naming `setting` and what to mend."""
    where = str(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe is not waited for
    except OSError as error:
        raise UserError(
            Mistake(
                where,
                f"{setting.replace('_', ' ')} cannot be read: {error.strerror}",
                f"create it, or correct {setting}",
            )
        ) from error
    facts = os.fstat(descriptor)  # of the file that is open, so it cannot be swapped between check and read
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise UserError(Mistake(where, "is not a regular file", f"point {setting} at a file"))
    with os.fdopen(descriptor, "rb") as file:
        if is_handed_over(path, facts, environ):
            return file.read(BYTES_MAX)
        if facts.st_uid != owner:
            raise UserError(Mistake(where, f"belongs to user {facts.st_uid}, we are {owner}", f"chown {owner} {where}"))
        if facts.st_mode & 0o177:
            raise UserError(
                Mistake(where, f"mode {stat.S_IMODE(facts.st_mode):04o} lets others in", f"chmod 600 {where}")
            )
        return file.read(BYTES_MAX)


def is_handed_over(path: Path, facts: os.stat_result, environ: Mapping[str, str]) -> bool:
    """Return whether systemd put this file where our service alone can enter (LoadCredential).

    It may then be root's, and look readable by a group: of a file with an access list, which names us and nobody else, the
    mode shows the list's mask there.
    Source: systemd.exec(5), and https://github.com/systemd/systemd/issues/29435.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder or path.parent.resolve() != Path(folder).resolve():
        return False
    around = path.parent.stat()
    owners = {0, os.getuid()}
    return {facts.st_uid, around.st_uid} <= owners and not facts.st_mode & 0o137 and not around.st_mode & 0o027


def _from_environment(config: VenueConfig, environ: Mapping[str, str]) -> tuple[str, str]:
    prefix = "ARBOT_" + "".join(letter if letter.isalnum() else "_" for letter in config.venue.upper())
    names = (f"{prefix}_KEY", f"{prefix}_SECRET")
    missing = [name for name in names if not environ.get(name, "").strip()]
    if missing:
        raise UserError(
            *(
                Mistake(name, f"no API key for {config.venue}", "set key_file to a file of mode 0600, or this variable")
                for name in missing
            )
        )
    key, secret = (environ[name].strip() for name in names)
    return key, _in_lines(secret)


def _in_lines(secret: str) -> str:
    """Return a PEM that was squeezed into one line as the lines it was."""
    return secret.replace("\\n", "\n")


def _format_mistakes(config: VenueConfig, where: str, key: str, secret: str) -> list[Mistake]:
    """Return what is wrong with the shape of a key pair; the values themselves are never shown."""
    mistakes = []
    if not key or not secret:
        mistakes.append(Mistake(where, "key or secret is empty", "paste both values of the API key"))
    elif config.adapter == "kraken":
        try:
            base64.b64decode(secret, validate=True)
        except binascii.Error:
            mistakes.append(Mistake(where, "Kraken's secret is not base64", "paste the private key whole"))
    elif config.adapter == "coinbase" and (wrong := _wrong_with_pem(secret)):
        mistakes.append(
            Mistake(
                where,
                f"Coinbase's private key {wrong}",
                "paste it whole; create an ECDSA (ES256) key, Ed25519 keys do not work on every Coinbase stream",
            )
        )
    return mistakes


def _wrong_with_pem(secret: str) -> str:
    """Return what is wrong with a private key that has to sign ES256, or nothing."""
    if not secret.startswith("-----BEGIN"):
        return "is not PEM"
    try:
        key = load_pem_private_key(secret.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "is damaged, or locked by a password"
    is_p256 = isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    return "" if is_p256 else "is not of the curve P-256"
