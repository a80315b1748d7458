"""Certificates and keys as they lie on disk; every fault is a sentence that names the file and the remedy."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from registryproxy.errors import CAUnusable

# The docker-registry-proxy that we succeed encrypted its key with this, in public; who brings its volume along
# must not have to reinstall a certificate on every client.
_PREDECESSORS_PASSPHRASE = b"foobar"

SigningKey = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
"""The keys that verifiers accept as an issuer's."""


def read_certificates(path: Path) -> list[x509.Certificate]:
    """
    Read every certificate of a PEM file, at least one; what else the file holds is passed over.

    @raise CAUnusable: if there is none.
    """
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as e:
        raise CAUnusable(
            f"{path} holds no certificate in PEM: it must begin with -----BEGIN CERTIFICATE-----"
        ) from e


def read_key(path: Path) -> SigningKey:
    """
    Read the private key of a PEM file.

    @raise CAUnusable: if there is none that can sign certificates.
    """
    content = _read(path)
    try:
        try:
            key: object = serialization.load_pem_private_key(content, None)
        except TypeError:  # how cryptography says that it wants a passphrase
            key = _decrypted(path, content)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CAUnusable(
            f"{path} holds no private key in PEM: it must begin with -----BEGIN PRIVATE KEY-----"
        ) from e
    if not isinstance(key, SigningKey):
        raise CAUnusable(f"{path} is a key that cannot sign certificates: give an EC or an RSA key")
    return key


def may_sign(certificate: x509.Certificate) -> bool:
    """
    Tell whether verifiers would let it issue.

    @see: RFC 5280, sections 4.2.1.3 and 4.2.1.9.
    """
    try:
        extensions = certificate.extensions
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _decrypted(path: Path, content: bytes) -> object:
    try:
        return serialization.load_pem_private_key(content, _PREDECESSORS_PASSPHRASE)
    except ValueError as e:
        raise CAUnusable(
            f"{path} is encrypted with a passphrase: decrypt it, as with"
            f" openssl pkey -in {path} -out decrypted.key"
        ) from e


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CAUnusable(
            f"{path} is missing: put it back, or move its counterpart away, too, for a new authority"
            " that clients then have to be given"
        ) from None
    except OSError as e:
        raise CAUnusable(
            f"{path} cannot be read ({e.strerror}): let the user that registryproxy runs as read it"
        ) from e
