"""Who may speak: a small certificate authority, and certificates that name exactly one role and one name.

A certificate says `reconciler://CLUSTER/ROLE/NAME` in its one URI alternative name, and that is all that
is ever believed of it: no host names, so that addresses can change freely. One authority serves one cluster.
Keys are written 0600 in a directory of 0700, each file whole or not at all, and never over an existing one.

    pki.create_authority(directory, cluster="shop")
    pki.issue(directory, pki.Role.AGENT, "alpha")
    credentials = pki.Credentials.load(directory, pki.Role.AGENT, "alpha")

Validity is judged against the wall clock (`clock.utc`), at handshakes only: an expiry or a clock that jumps
never ends a connection that stands. docs/security.md has the rest. `cryptography` is imported only where
certificates are made or shown, so that an agent, which only uses them, stays small.
"""

import os
import re
import ssl
import stat
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from reconciler.model.errors import Refused
from reconciler.runtime import clock

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

LIFE_DAYS = 30
AUTHORITY_LIFE_DAYS = 3650
BACKDATE = timedelta(hours=1)
"""How far a node's clock may be behind the one that issued its certificate."""

_SCHEME = "reconciler"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Role(StrEnum):
    """What the holder of a certificate may do. A certificate has one."""

    AGENT = "agent"
    CONTROLLER = "controller"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks: one name in one role of one cluster."""

    cluster: str
    role: Role
    name: str

    @property
    def uri(self) -> str:
        """The form that stands in the certificate."""
        return f"{_SCHEME}://{self.cluster}/{self.role}/{self.name}"

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read an identity out of a certificate.

        Errors: `Refused` for anything that `uri` could not have written.
        """
        match uri.split("/"):
            case ["reconciler:", "", cluster, role, name] if (
                _NAME.fullmatch(cluster) and role in set(Role) and _NAME.fullmatch(name)
            ):
                return cls(cluster=cluster, role=Role(role), name=name)
        raise Refused(f"not the identity of a member: {uri[:300]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The files that one member proves itself with, and the authority that it trusts."""

    identity: Identity
    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def load(cls, directory: Path, role: Role, name: str) -> Self:
        """Find the files of a member and check that they fit together.

        Errors: `Refused` when one is missing, does not belong, or lets others read the key.
        """
        stem = _stem(role, name)
        authority, certificate, key = (
            directory / part for part in ("ca.crt", f"{stem}.crt", f"{stem}.key")
        )
        for path in (authority, certificate, key):
            if not path.is_file():
                raise Refused(f"{path}: there is no such file; `reconcile pki issue` makes it")
        if stat.S_IMODE(key.stat().st_mode) & 0o077:
            raise Refused(f"{key}: others may read this key; make it 0600")
        identity = Identity(cluster=_cluster_of(authority), role=role, name=name)
        credentials = cls(identity=identity, authority=authority, certificate=certificate, key=key)
        credentials.tls(server=False)
        return credentials

    @classmethod
    def sole(cls, directory: Path, role: Role) -> Self:
        """Load the only credentials of a role in a directory: an operator need not repeat their name.

        Errors: `Refused` when there are none or several.
        """
        names = [path.stem.partition("-")[2] for path in sorted(directory.glob(f"{role}-*.crt"))]
        if len(names) != 1:
            raise Refused(f"{directory}: expected one certificate of role {role}, found {names}")
        return cls.load(directory, role, names[0])

    def tls(self, *, server: bool) -> ssl.SSLContext:
        """Make a context that speaks TLS 1.3 only, both sides proven, nothing resumed.

        Made anew for every connection, so that a renewed certificate is used without a restart.
        Errors: `Refused` when the files cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the URI is the identity, see `Identity`
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if server:
            context.num_tickets = 0  # a resumed session would skip the certificate's validity
        try:
            context.load_verify_locations(cafile=self.authority)
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as trouble:
            raise Refused(f"{self.certificate}: cannot be used: {trouble}") from trouble
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate as `show` reports it."""

    path: Path
    subject: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    """Lower-case hexadecimal SHA-256 of the certificate."""


def create_authority(directory: Path, *, cluster: str, days: int = AUTHORITY_LIFE_DAYS) -> Path:
    """Make the authority of a cluster: `ca.crt`, which goes everywhere, and `ca.key`, which stays.

    Errors: `Refused` when there is one already, or the name cannot be a cluster's.
    """
    _check_name(cluster)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o022:
        raise Refused(f"{directory}: others may write here; keep keys in a directory of your own")
    from cryptography import x509

    key = _new_key()
    builder = (
        _builder(f"{cluster} authority", cluster, key.public_key(), days=days)
        .issuer_name(_name(f"{cluster} authority", cluster))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(_alternative_name(f"{_SCHEME}://{cluster}"), critical=False)
        .add_extension(_authority_key_id(key.public_key()), critical=False)
    )
    _write(directory / "ca.key", _key_pem(key), mode=0o600, replace=False)
    _write(directory / "ca.crt", _sign(builder, key), mode=0o644, replace=False)
    return directory / "ca.crt"


def issue(directory: Path, role: Role, name: str, *, days: int = LIFE_DAYS) -> Path:
    """Make a key and a certificate for one member, signed by the authority in that directory.

    Errors: `Refused` when the member has some already, or there is no authority.
    """
    _check_name(name)
    stem = directory / _stem(role, name)
    authority, signer = _authority(directory)
    for path in (stem.with_name(f"{stem.name}.crt"), stem.with_name(f"{stem.name}.key")):
        if path.exists():
            raise Refused(f"{path}: there already; `renew` keeps the key, or remove both files")
    key = _new_key()
    certificate = _leaf(authority, signer, key.public_key(), role, name, days=days)
    _write(stem.with_name(f"{stem.name}.key"), _key_pem(key), mode=0o600, replace=False)
    path = stem.with_name(f"{stem.name}.crt")
    _write(path, certificate, mode=0o644, replace=False)
    return path


def renew(directory: Path, role: Role, name: str, *, days: int = LIFE_DAYS) -> Path:
    """Give a member a new certificate for the key it has.

    The key stays, so that one file changes, and changes whole: there is no moment at which a certificate
    and a key do not fit together. A node that was rebuilt gets a new key: remove both files and `issue`.
    Errors: `Refused` when there is nothing to renew.
    """
    path = directory / f"{_stem(role, name)}.crt"
    if not path.is_file():
        raise Refused(f"{path}: there is no such certificate; `issue` makes one")
    authority, signer = _authority(directory)
    held = _read_certificate(path)
    if _uri_of(held) != Identity(cluster=_cluster(authority), role=role, name=name).uri:
        raise Refused(f"{path}: it names {_uri_of(held)}, which is not {role} {name} here")
    public = _elliptic(held.public_key())
    _write(path, _leaf(authority, signer, public, role, name, days=days), mode=0o644, replace=True)
    return path


def show(directory: Path) -> tuple[Issued, ...]:
    """List the certificates in a directory, the authority first."""
    from cryptography.hazmat.primitives import hashes

    paths = [directory / "ca.crt", *sorted(directory.glob("*-*.crt"))]
    return tuple(
        Issued(
            path=path,
            subject=_uri_of(held),
            not_before=held.not_valid_before_utc,
            not_after=held.not_valid_after_utc,
            fingerprint=held.fingerprint(hashes.SHA256()).hex(),
        )
        for path in paths
        for held in [_read_certificate(path)]
    )


def _stem(role: Role, name: str) -> str:
    _check_name(name)
    return f"{role}-{name}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(f"{name[:140]!r}: a name is letters, digits, `_`, `.` and `-`, at most 128")


def _cluster_of(authority: Path) -> str:
    """Which cluster an authority serves, read without `cryptography`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=authority)
    except (OSError, ssl.SSLError) as trouble:
        raise Refused(f"{authority}: not a certificate: {trouble}") from trouble
    match [value for held in context.get_ca_certs() for value in uris(held)]:
        case [uri] if uri.startswith(f"{_SCHEME}://"):
            return uri.removeprefix(f"{_SCHEME}://")
    raise Refused(f"{authority}: not the one authority of a cluster")


def uris(certificate: object) -> list[str]:
    """The URI names in a certificate as `ssl` describes it."""
    names = certificate.get("subjectAltName", ()) if isinstance(certificate, dict) else ()
    return [value for kind, value in names if kind == "URI"]


def _authority(directory: Path) -> tuple["x509.Certificate", "EllipticCurvePrivateKey"]:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = directory / "ca.key"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as trouble:
        raise Refused(
            f"{path}: no authority to sign with; `reconcile pki init` makes one"
        ) from trouble
    certificate = _read_certificate(directory / "ca.crt")
    if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise Refused(f"{path}: not the key of the authority beside it")
    return certificate, key


def _read_certificate(path: Path) -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as trouble:
        raise Refused(f"{path}: not a certificate: {trouble}") from trouble


def _uri_of(certificate: "x509.Certificate") -> str:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as trouble:
        raise Refused("a certificate of something else: it names no member") from trouble
    return " ".join(names.get_values_for_type(x509.UniformResourceIdentifier))


def _cluster(authority: "x509.Certificate") -> str:
    return _uri_of(authority).removeprefix(f"{_SCHEME}://")


def _leaf(
    authority: "x509.Certificate",
    signer: "EllipticCurvePrivateKey",
    public: "EllipticCurvePublicKey",
    role: Role,
    name: str,
    *,
    days: int,
) -> bytes:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID as Use

    identity = Identity(cluster=_cluster(authority), role=role, name=name)
    _check_name(identity.cluster)
    uses = [Use.CLIENT_AUTH, *([Use.SERVER_AUTH] if role is Role.CONTROLLER else [])]
    builder = (
        _builder(f"{role} {name}", identity.cluster, public, days=days)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(_alternative_name(identity.uri), critical=False)
        .add_extension(_authority_key_id(signer.public_key()), critical=False)
    )
    return _sign(builder, signer)


def _new_key() -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _elliptic(public: object) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    if not isinstance(public, EllipticCurvePublicKey):
        raise Refused("the certificate holds a key of another kind")
    return public


def _key_pem(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str, cluster: str) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _builder(
    common: str, cluster: str, public: "EllipticCurvePublicKey", *, days: int
) -> "x509.CertificateBuilder":
    from cryptography import x509

    now = clock.utc()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common, cluster))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .public_key(public)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, authority: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_name(uri: str) -> "x509.SubjectAlternativeName":
    from cryptography import x509

    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])


def _authority_key_id(public: "EllipticCurvePublicKey") -> "x509.AuthorityKeyIdentifier":
    from cryptography import x509

    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _sign(builder: "x509.CertificateBuilder", signer: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


def _write(path: Path, data: bytes, *, mode: int, replace: bool) -> None:
    """Put a file in place whole, durable, with its mode from the first moment."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".pki-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            Path(temporary).replace(path)
        else:
            os.link(temporary, path)  # fails if it is there, unlike a rename
    except FileExistsError as trouble:
        raise Refused(f"{path}: there already, and never overwritten") from trouble
    finally:
        Path(temporary).unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
