"""How is a server reached over TLS whose certificate no authority has signed, and which is known by its fingerprint?

The certificate is fetched once and compared. A context is made of it that trusts this certificate and no other, so that
every later connection is checked in its handshake, before a byte is sent. When the server has another certificate then,
its connections fail; the fingerprint in the configuration says which one is meant.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from typing import Final

FETCH_SECONDS: Final = 5.0
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL (x509_vfy.h), for which Python has no name."""
_CONTEXTS: Final[dict[tuple[str, int, str], ssl.SSLContext]] = {}


class AnotherCertificate(ConnectionError):
    """The server has another certificate than the one that is meant."""


def plain_fingerprint(text: str) -> str:
    """Return a fingerprint as 64 small hex digits; other texts without colons, in small letters."""
    return text.strip().lower().removeprefix("sha256:").replace(":", "")


async def pinned_context(host: str, port: int, fingerprint: str) -> ssl.SSLContext:
    """Return a context that trusts one certificate: of the server at this address, by its SHA-256.

    Raises AnotherCertificate, and OSError or TimeoutError where the server cannot be reached.
    """
    wanted = plain_fingerprint(fingerprint)
    found = _CONTEXTS.get((host, port, wanted))
    if found is None:
        pem = await asyncio.to_thread(ssl.get_server_certificate, (host, port), timeout=FETCH_SECONDS)
        shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        if shown != wanted:
            raise AnotherCertificate(0, f"its certificate has the fingerprint {shown}, not the one that is configured")
        found = _CONTEXTS[host, port, wanted] = _trusting(pem)
    return found


def _trusting(pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate itself is known, whatever names are in it
    # Its dates say nothing either: they are the other machine's, whose clock may be another.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.load_verify_locations(cadata=pem)
    return context
