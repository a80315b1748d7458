"""Authorities that others have made, as they are brought along."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
YEAR = timedelta(days=365)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    """Make a key that costs nothing."""
    return ec.generate_private_key(ec.SECP256R1())


def rsa_key() -> rsa.RSAPrivateKey:
    """Make a key of the kind that most companies have."""
    return rsa.generate_private_key(65537, 2048)


def authority(
    key: Key,
    name: str = "Corporate CA",
    issuer: tuple[str, Key] | None = None,
    *,
    now: datetime = NOW,
    ends: datetime | None = None,
    is_ca: bool = True,
    signs: bool | None = True,
    has_identifier: bool = True,
) -> x509.Certificate:
    """
    Make a certificate, by default one that may sign others, for the year before and the year after C{now}.

    @param issuer: name and key of another authority; else it signs itself.
    @param signs: what keyUsage says of keyCertSign; None leaves keyUsage out.
    """
    issuer_name, issuer_key = issuer or (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - YEAR)
        .not_valid_after(ends or now + YEAR)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if signs is not None:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=signs,
            crl_sign=signs,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    if has_identifier:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    identifier_of_issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(identifier_of_issuer, critical=False)
    return builder.sign(
        issuer_key, None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    )


def pem(*certificates: x509.Certificate) -> bytes:
    """Write certificates one behind the other."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def key_pem(key: Key, passphrase: bytes | None = None, *, traditional: bool = False) -> bytes:
    """Write a key, encrypted if there is a passphrase."""
    form = (
        serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    )
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def put(folder: Path, certificates: bytes, key: bytes) -> tuple[Path, Path]:
    """Write both files, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "corporate.pem", folder / "corporate.key"
    paths[0].write_bytes(certificates)
    paths[1].write_bytes(key)
    return paths
