"""A self-made certificate for loopback: some clients refuse to speak anything but https.

The private key is written with mode 0600 and is worth nothing: the certificate names loopback only and nobody trusts it
who was not told to. Clients are told through their own means (REQUESTS_CA_BUNDLE, ccxt's `cafile`).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST, ADDRESS = "localhost", "127.0.0.1"
DAYS = 7
CERTIFICATE, KEY = "loopback.crt", "loopback.key"


class CertificateFiles(NamedTuple):
    """Where the certificate and its key were written, both PEM."""

    certificate: Path
    key: Path


def write_certificate(folder: Path, now_ns: int) -> CertificateFiles:
    """Make a key and a certificate for loopback, good from an hour ago for a week, and write both into `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    begin = datetime.fromtimestamp(now_ns // 10**9, UTC) - timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=DAYS))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address(ADDRESS))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = CertificateFiles(folder / CERTIFICATE, folder / KEY)
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(secret)
    return files


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """Return the context of a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


def secured(urls: Mapping[str, str]) -> dict[str, str]:
    """Return the same addresses under https and wss."""
    return {name: url.replace("://", "s://", 1) for name, url in urls.items()}
