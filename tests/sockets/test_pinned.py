"""A server whose certificate nobody has signed is reached by its fingerprint; one with another certificate is not."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from claracore.host.sockets.pinned import AnotherCertificate, pinned_context, plain_fingerprint

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


def certificate(folder: Path, name: str) -> tuple[Path, Path, str]:
    """Make a certificate; return its file, its key's, and its fingerprint."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*made, "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", pem], check=True, timeout=60)
    return pem, key, hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.read_text())).hexdigest()


@asynccontextmanager
async def server(pem: Path, key: Path, port: int = 0) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", port, ssl=context)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def greeted(port: int, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="any.name")
    found = await reader.read()
    writer.close()
    return found


def test_the_certificate_that_is_meant_is_trusted_and_no_other(tmp_path: Path) -> None:
    one, other = certificate(tmp_path, "one"), certificate(tmp_path, "other")

    async def conversation() -> None:
        async with server(*one[:2]) as port:
            context = await pinned_context("127.0.0.1", port, "SHA256:" + one[2].upper())
            assert await greeted(port, context) == b"hello"
            with pytest.raises(AnotherCertificate, match=one[2]):
                await pinned_context("127.0.0.1", port, other[2])
        async with server(*other[:2], port=port):
            # What was fetched before is trusted, not whoever listens there now.
            with pytest.raises(ssl.SSLCertVerificationError):
                await greeted(port, await pinned_context("127.0.0.1", port, one[2]))

    asyncio.run(conversation())


def test_a_fingerprint_may_be_written_as_openssl_prints_it() -> None:
    assert plain_fingerprint(" AB:CD:01 ") == "abcd01"
