"""With which certificates do the processes of Ray speak to each other, and where do these come from?

The head has an authority of its own for its cluster; each machine makes its key itself, and only a request for a
certificate leaves it. Everything is in one folder that only this user may read. Certificates are good for ten years,
as Ray reads them once, and are made anew at a start in the last of these. Needs `cryptography`, which is only imported
where `cluster.tls` is on.
"""

from __future__ import annotations

import datetime as dt
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from claracore.core.cluster.ray_words import AUTHORITY, CERTIFICATE, KEY
from claracore.errors import BadRequest
from claracore.host.cluster.addresses import routed_address
from claracore.host.disk import keep_private

AUTHORITY_KEY: Final = "ca.key"
GOOD_DAYS: Final = 3650
AUTHORITY_DAYS: Final = 3 * GOOD_DAYS
RENEWED_DAYS: Final = 365
"""So long before its end a certificate is made anew at the next start."""
BACKDATED: Final = dt.timedelta(days=1)
"""Clocks of machines differ."""
LOOPBACK: Final = "127.0.0.1"
"""Over which Ray's processes of one machine find each other, too."""


class RayCertificates:
    """The certificates of one machine. Blocking; raises OSError where they cannot be kept."""

    def __init__(self, folder: Path, now: dt.datetime | None = None) -> None:
        """`now` is for tests."""
        self._folder = folder
        self._now = now or dt.datetime.now(dt.UTC)

    # --- on every machine --------------------------------------------------------------------------------------------

    def lacks(self, address: str) -> bool:
        """Whether this machine needs a certificate for its address: none is there, or it is another's, or soon over."""
        try:
            found = x509.load_pem_x509_certificate((self._folder / CERTIFICATE).read_bytes())
            there = [(self._folder / name).is_file() for name in (AUTHORITY, KEY)]
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound):
            return True
        is_old = found.not_valid_after_utc - self._now < dt.timedelta(days=RENEWED_DAYS)
        lacking = set(_addresses(address)) - set(names.get_values_for_type(x509.IPAddress))
        return is_old or not all(there) or bool(lacking)

    def request(self) -> str:
        """Make a key for this machine; return a request for a certificate, as PEM."""
        asked = x509.CertificateSigningRequestBuilder().subject_name(_named("claracore node"))
        return _pem(asked.sign(self._new_key(KEY), hashes.SHA256()))

    def take(self, certificate: str, authority: str) -> None:
        """Keep what was made for this machine. Raises ValueError for what is no certificate."""
        for name, text in ((CERTIFICATE, certificate), (AUTHORITY, authority)):
            x509.load_pem_x509_certificate(text.encode())
            keep_private(self._folder / name, text.encode())

    # --- on the head -------------------------------------------------------------------------------------------------

    def be_authority(self, address: str) -> None:
        """Have an authority, and a certificate of its own for the head."""
        if not (self._folder / AUTHORITY_KEY).is_file():
            key, name = self._new_key(AUTHORITY_KEY), _named("claracore ray")
            made = self._builder(name, name, AUTHORITY_DAYS).public_key(key.public_key())
            made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            keep_private(self._folder / AUTHORITY, _pem(made.sign(key, hashes.SHA256())).encode())
            (self._folder / CERTIFICATE).unlink(missing_ok=True)  # of another authority
        if self.lacks(address):
            self.take(*self.certified(self.request(), address))

    def certified(self, request: str, address: str) -> tuple[str, str]:
        """Return a certificate for a machine at this IP address, and the authority's, as PEM.

        What the request wishes beside its key does not count. Raises BadRequest for what is no request.
        """
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            is_whole = asked.is_signature_valid
        except (ValueError, TypeError) as error:
            raise BadRequest("this is no request for a certificate", param="request") from error
        if not is_whole:
            raise BadRequest("the request for a certificate is not signed by its own key", param="request")
        authority = (self._folder / AUTHORITY).read_text(encoding="ascii")
        issuer = x509.load_pem_x509_certificate(authority.encode()).subject
        key = serialization.load_pem_private_key((self._folder / AUTHORITY_KEY).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - we have made it
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *map(x509.IPAddress, _addresses(address))])
        made = self._builder(_named("claracore node"), issuer).public_key(asked.public_key())
        made = made.add_extension(names, critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return _pem(made.sign(key, hashes.SHA256())), authority

    def _builder(self, subject: x509.Name, issuer: x509.Name, days: int = GOOD_DAYS) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATED)
            .not_valid_after(self._now + dt.timedelta(days=days))
        )

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        keep_private(self._folder / name, text)
        return key


def _addresses(address: str) -> list[IPv4Address | IPv6Address]:
    """Return the addresses at which Ray's processes of a machine are reached that has this one.

    For 127.0.0.1 Ray takes the address from which packets would go out (`resolve_ip_for_localhost`, Ray 2.60).
    """
    outward = routed_address() if address == LOOPBACK else ""
    return [ip_address(each) for each in dict.fromkeys((address, LOOPBACK, outward)) if each]


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(made: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")
