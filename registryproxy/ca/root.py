"""The root of trust: made on the first start, or brought along, and loaded on every start."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import NameOID

from registryproxy.ca.files import PRIVATE, PUBLIC, locked, put
from registryproxy.ca.reading import SigningKey, may_sign, read_certificates, read_key
from registryproxy.errors import CAUnusable

CERTIFICATE_FILE = "ca.crt"
KEY_FILE = "ca.key"
LOCK_FILE = ".ca.lock"

LIFE = timedelta(days=3652)
"""Ten years: the trust stores of clients are the one thing that we cannot renew."""

BACK_DATED = timedelta(days=1)
"""By which certificates begin early, for the clocks of clients are not all right."""


@frozen
class CertificateAuthority:
    """
    A certificate that may sign others, and its key, which it never shows.

    @ivar certificate: the one that signs.
    @ivar others: the rest of its file: what leads from it to a root, or roots of the past.
    """

    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]
    _key: SigningKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """All certificates of the file, as clients are to trust them, written anew: never a key."""
        return b"".join(map(_pem, (self.certificate, *self.others)))

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        """What a server sends behind its leaf: all but roots, which a client has or does not trust anyway."""
        return tuple(each for each in (self.certificate, *self.others) if each.issuer != each.subject)

    @property
    def ends_at(self) -> float:
        """When the certificate ends, in POSIX seconds."""
        return self.certificate.not_valid_after_utc.timestamp()

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """
        What leaves call their issuer's key: byte for byte what the certificate itself calls it.

        @see: RFC 5280, section 4.2.1.1; some verifiers compare the two and do not compute.
        """
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        """Sign what the builder has gathered, as its issuer."""
        return _signed(builder.issuer_name(self.certificate.subject), self._key)


def load_or_create(ca_dir: Path, now: float) -> CertificateAuthority:
    """
    Load the authority that lives in a directory, having made it if there is none.

    However often this is cut short, the next start succeeds; and processes that start together get the same.

    @param now: POSIX seconds.
    @raise CAUnusable: if it cannot be made, or cannot be used.
    """
    certificate, key = ca_dir / CERTIFICATE_FILE, ca_dir / KEY_FILE
    try:
        if not certificate.exists():  # a volume that is mounted read-only is fine once it is filled
            ca_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(ca_dir / LOCK_FILE):
                if not certificate.exists():  # no other process was faster
                    _create(certificate, key, now)
    except OSError as e:
        raise CAUnusable(
            f"no certificate authority can be made in {ca_dir} ({e.strerror}): let the user that registryproxy"
            " runs as write there, or set CA_DIR, as in CA_DIR=/var/lib/registryproxy/ca"
        ) from e
    return load(certificate, key, now)


def load(certificate_file: Path, key_file: Path, now: float) -> CertificateAuthority:
    """
    Load an authority, and make sure that what it signs can be trusted.

    @param certificate_file: PEM; the first certificate is the one that signs.
    @param key_file: PEM.
    @param now: POSIX seconds.
    @raise CAUnusable: if it cannot be read, or cannot be used; one sentence, which names the file.
    """
    certificate, *others = read_certificates(certificate_file)
    key = read_key(key_file)
    if not may_sign(certificate):
        raise CAUnusable(
            f"{certificate_file} is no certificate authority: its first certificate must have"
            " basicConstraints CA:TRUE and, if it has keyUsage, keyCertSign"
        )
    if key.public_key() != certificate.public_key():
        raise CAUnusable(
            f"{key_file} is not the key of {certificate_file}: give the two that belong together"
        )
    if now >= certificate.not_valid_after_utc.timestamp():
        raise CAUnusable(
            f"{certificate_file} ended on {certificate.not_valid_after_utc:%Y-%m-%d}: renew it, or move it and"
            f" {key_file} away, for a new authority that clients then have to be given"
        )
    return CertificateAuthority(certificate, tuple(others), key)


def _create(certificate_file: Path, key_file: Path, now: float) -> None:
    """
    Make what is missing: the key first, for a key alone does no harm, and a certificate alone is of no use.

    A key without a certificate is what a crash between the two leaves, or somebody's own: it is kept.
    """
    if key_file.exists():
        key = read_key(key_file)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        put(key_file, secret, PRIVATE)
    put(certificate_file, _pem(_self_signed(key, datetime.fromtimestamp(now, UTC))), PUBLIC)


def _self_signed(key: SigningKey, now: datetime) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # day and key, so that whoever meets two of them on one client can tell them apart
    common = f"registryproxy CA {now:%Y-%m-%d} {identifier.digest.hex()[:8]}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACK_DATED)
        .not_valid_after(now - BACK_DATED + LIFE)
        # no authority below this one
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
    )
    return _signed(builder, key)


def _signed(builder: x509.CertificateBuilder, key: SigningKey) -> x509.Certificate:
    # Edwards keys bring a hash of their own, and refuse any other
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(key, None if edwards else hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
