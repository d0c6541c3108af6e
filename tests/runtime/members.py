"""Certificates for tests, good ones by the product's own hand and bad ones by ours."""

import atexit
import datetime as dt
import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reconciler.runtime import clock, pki
from reconciler.runtime.pki import Credentials, Identity, Role


def authority(cluster="shop", salt=""):
    """A directory with an authority and a member of each role; made once per test process."""
    return _made(cluster, salt)


@functools.cache
def _made(cluster, salt):
    directory = Path(tempfile.mkdtemp(prefix=f"pki-{cluster}{salt}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    pki.create_authority(directory, cluster=cluster)
    for role, name in (
        (Role.AGENT, "alpha"),
        (Role.CONTROLLER, "main"),
        (Role.OPERATOR, "olga"),
    ):
        pki.issue(directory, role, name)
    return directory


NAMES = {Role.AGENT: "alpha", Role.CONTROLLER: "main", Role.OPERATOR: "olga"}


def member(role, cluster="shop", salt=""):
    return Credentials.load(authority(cluster, salt), role, NAMES[role])


def forged(tmp_path, *uris, signer=None, starts_days=-1, ends_days=30, extended=True):
    """Credentials with any names and any validity, signed by the authority in `signer`, or by themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")])
    issuer, issuer_key = name, key
    if signer is not None:
        issuer = x509.load_pem_x509_certificate((signer / "ca.crt").read_bytes()).subject
        issuer_key = serialization.load_pem_private_key(
            (signer / "ca.key").read_bytes(), password=None
        )
    now = clock.utc()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=starts_days))
        .not_valid_after(now + dt.timedelta(days=ends_days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if extended:
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    (tmp_path / "forged.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "forged.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "forged.key").chmod(0o600)
    return Credentials(
        identity=Identity(cluster="shop", role=Role.AGENT, name="alpha"),
        authority=authority() / "ca.crt",
        certificate=tmp_path / "forged.crt",
        key=tmp_path / "forged.key",
    )


def trusting(credentials, other):
    """The same credentials, but trusting another authority."""
    return replace(credentials, authority=other / "ca.crt")
