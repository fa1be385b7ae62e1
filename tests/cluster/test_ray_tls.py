"""Certificates of Ray: who makes them, for whom, for how long, and who may read them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509

from claracore.errors import BadRequest
from claracore.host.cluster.ray_tls import RayCertificates

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_a_head_certifies_itself_and_its_nodes(tmp_path: Path) -> None:
    head, node = RayCertificates(tmp_path / "head", NOW), RayCertificates(tmp_path / "node", NOW)
    assert node.lacks("10.0.0.2")
    head.be_authority("10.0.0.1")
    node.take(*head.certified(node.request(), "10.0.0.2"))
    assert not node.lacks("10.0.0.2")
    assert node.lacks("10.0.0.3"), "it is for an address"
    made = x509.load_pem_x509_certificate((tmp_path / "node/cert.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((tmp_path / "head/ca.pem").read_bytes())
    made.verify_directly_issued_by(authority)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [*map(ipaddress.ip_address, ("10.0.0.2", "127.0.0.1"))]
    assert {path.name for path in (tmp_path / "node").iterdir()} == {"ca.pem", "cert.pem", "key.pem"}
    for path in (*(tmp_path / "head").iterdir(), *(tmp_path / "node").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_they_are_kept_until_their_last_year(tmp_path: Path) -> None:
    RayCertificates(tmp_path, NOW).be_authority("10.0.0.1")
    before = (tmp_path / "cert.pem").read_bytes(), (tmp_path / "ca.pem").read_bytes()
    RayCertificates(tmp_path, NOW + dt.timedelta(days=8 * 365)).be_authority("10.0.0.1")
    assert (tmp_path / "cert.pem").read_bytes() == before[0]
    RayCertificates(tmp_path, NOW + dt.timedelta(days=9.5 * 365)).be_authority("10.0.0.1")
    assert (tmp_path / "cert.pem").read_bytes() != before[0]
    assert (tmp_path / "ca.pem").read_bytes() == before[1]


def test_an_address_that_is_another_now_gets_another(tmp_path: Path) -> None:
    RayCertificates(tmp_path, NOW).be_authority("10.0.0.1")
    RayCertificates(tmp_path, NOW).be_authority("10.0.0.9")
    assert not RayCertificates(tmp_path, NOW).lacks("10.0.0.9")


@pytest.mark.parametrize(
    "request_", ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
)
def test_what_is_no_request(tmp_path: Path, request_: str) -> None:
    head = RayCertificates(tmp_path, NOW)
    head.be_authority("10.0.0.1")
    with pytest.raises(BadRequest):
        head.certified(request_, "10.0.0.2")


def test_a_damaged_certificate_is_made_anew(tmp_path: Path) -> None:
    RayCertificates(tmp_path, NOW).be_authority("10.0.0.1")
    (tmp_path / "cert.pem").write_bytes(b"damaged")
    assert RayCertificates(tmp_path, NOW).lacks("10.0.0.1")
    with pytest.raises(ValueError, match="PEM"):
        RayCertificates(tmp_path, NOW).take("damaged", "damaged")


def test_a_head_of_this_machine_alone_is_reached_where_ray_says_that_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray puts the address from which packets go out in the place of 127.0.0.1."""
    monkeypatch.setattr("claracore.host.cluster.ray_tls.routed_address", lambda: "")
    head = RayCertificates(tmp_path, NOW)
    head.be_authority("127.0.0.1")
    assert not head.lacks("127.0.0.1")
    monkeypatch.setattr("claracore.host.cluster.ray_tls.routed_address", lambda: "10.0.0.1")
    assert head.lacks("127.0.0.1")
    head.be_authority("127.0.0.1")
    assert not head.lacks("127.0.0.1")
    assert not head.lacks("10.0.0.1")
