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


def certificate(folder: Path, name: str, days: int = 2) -> tuple[Path, Path, str]:
    """Make a certificate, good for some days from now; return its file, its key's, and its fingerprint."""
    pem, key, request = (folder / f"{name}.{what}" for what in ("pem", "key", "csr"))
    made: list[str | Path] = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    signed: list[str | Path] = [
        "openssl",
        "x509",
        "-req",
        "-in",
        request,
        "-signkey",
        key,
        "-days",
        str(days),
        "-out",
        pem,
    ]
    subprocess.run([*made, "-subj", f"/CN={name}", "-keyout", key, "-out", request], check=True, timeout=60)
    subprocess.run(signed, check=True, timeout=60)
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


def test_the_dates_in_it_are_of_no_account(tmp_path: Path) -> None:
    """A machine whose clock is wrong has made it, or nobody has made a new one in time."""

    async def conversation(pem: Path, key: Path, fingerprint: str) -> None:
        async with server(pem, key) as port:
            assert await greeted(port, await pinned_context("127.0.0.1", port, fingerprint)) == b"hello"

    asyncio.run(conversation(*certificate(tmp_path, "past", -1)))
