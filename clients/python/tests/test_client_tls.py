"""HTTPS: who may be Token Health."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading

import pytest
from conftest import KEY
from played import Played

from token_health_client import Unreachable

x509 = pytest.importorskip("cryptography.x509")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1, signed by itself."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "played")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "played.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def secure(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    played = Played(KEY, context)
    played.add("acme-clio")
    with played:
        yield played


def test_an_authority_of_ones_own_is_named(make, secure, certificate, clock):
    th = make(secure.url, cafile=str(certificate))
    for _ in range(3):
        assert th.token("acme-clio").generation == 17
        clock.tick(3301)
    assert len(secure.asked) == 3


def test_a_stranger_gets_no_key(make, secure, certificate):
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        make(secure.url).token("acme-clio")
    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        make(secure.url.replace("127.0.0.1", "localhost"), cafile=str(certificate)).token("acme-clio")
    with pytest.raises(Unreachable):
        make(secure.url.replace("https", "http")).token("acme-clio")
    assert secure.asked == []


def test_eight_threads_over_tls(make, secure, certificate):
    th = make(secure.url, cafile=str(certificate))
    names = [f"c{number}" for number in range(8)]
    for name in names:
        secure.add(name)
    got = []
    threads = [
        threading.Thread(target=lambda name=name: got.append(th.token(name).connection)) for name in names
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join(5)
    assert sorted(got) == names
