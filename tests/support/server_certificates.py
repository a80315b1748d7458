"""What servers prove themselves with, well and badly."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.ssl import CertificateOptions

_DAY = timedelta(days=1)
_ISSUER = "An authority of the laboratory"


@frozen
class Signer:
    """An authority that lives as long as one test, and signs whatever it is told to."""

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls) -> "Signer":
        """Make one with a key of its own."""
        key = _new_key()
        certificate = (
            _begun(_ISSUER, key, datetime.now(UTC) - _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    def write_to(self, path: Path) -> Path:
        """Write the certificate for those who shall trust it."""
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def server(self, *names: str, age: timedelta = _DAY) -> CertificateOptions:
        """
        Make what a server proves itself with.

        @param names: DNS names or IP addresses; without any the certificate has a common name only, as those of
            old internal registries do.
        @param age: since when it is valid, for two days.
        """
        key = _new_key()
        builder = _begun("registry.test", key, datetime.now(UTC) - age)
        if names:
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        made = builder.sign(self._key, SHA256())
        return CertificateOptions(privateKey=key, certificate=made, acceptableProtocols=[b"http/1.1"])  # type: ignore[arg-type]


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _general_name(name: str) -> x509.GeneralName:
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _begun(subject: str, key: ec.EllipticCurvePrivateKey, begins: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _ISSUER)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + 2 * _DAY)
    )
