"""The laboratory's own CA: it signs the certificates of registries that tests run."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of the laboratory")])
_DAY = timedelta(days=1)
# Python 3.13 verifies strictly: without this, and without the issuer's key named in a leaf, it refuses.
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@frozen
class LabCA:
    """A CA that lives as long as one test."""

    _certificate: x509.Certificate
    _key: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def create(cls) -> "LabCA":
        """Make a CA with a key of its own."""
        key = generate_private_key(SECP256R1())
        certificate = (
            _begun(_NAME, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_SIGNS, critical=True)
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    def pem(self) -> bytes:
        """Return the CA's certificate, for those who shall trust it."""
        return self._certificate.public_bytes(Encoding.PEM)

    def leaf(self, host: str, address: str) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        """
        Make a certificate for a server, and its key.

        @param host: the name that clients ask it by.
        @param address: the IP address that it listens at, so that tests may skip the name.
        """
        key = generate_private_key(SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ip_address(address))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _begun(subject, key)
            .add_extension(names, critical=False)
            .add_extension(signed_by, critical=False)
            .sign(self._key, SHA256())
        )
        return certificate, key

    def leaf_pem(self, host: str, address: str) -> tuple[bytes, bytes]:
        """Make a certificate for a server, and its key, both as PEM."""
        certificate, key = self.leaf(host, address)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), private


def _begun(subject: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
