"""Whom we believe: the certificates of registries."""

import weakref
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from attrs import frozen
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    ServiceID,
    verify_service_identity,
)
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from registryproxy.errors import ConfigError
from registryproxy.wire.authority import Authority

_ALPN = [b"http/1.1"]
_NOBODY_WE_TRUST = "its certificate is signed by nobody we trust; UPSTREAM_CA_FILE may name its authority"
_CODES = SSL.X509VerificationCodes
_REASONS = {
    _CODES.ERR_CERT_NOT_YET_VALID: "its certificate is not valid yet",
    _CODES.ERR_CERT_HAS_EXPIRED: "its certificate has expired",
    _CODES.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: _NOBODY_WE_TRUST,
    _CODES.ERR_SELF_SIGNED_CERT_IN_CHAIN: _NOBODY_WE_TRUST,
    _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT: _NOBODY_WE_TRUST,
    _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: _NOBODY_WE_TRUST,
    _CODES.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: _NOBODY_WE_TRUST,
}


class Untrusted(Exception):
    """A registry's certificate does not prove who it is; the message says why."""


@implementer(IOpenSSLTrustRoot)
@frozen
class _SystemAnd:
    """The system's trusted roots, and the operator's own file beside them."""

    _extra: Path | None

    def _addCACertsToContext(self, context: SSL.Context) -> None:
        context.set_default_verify_paths()
        if self._extra is not None:
            context.load_verify_locations(str(self._extra))


@implementer(IOpenSSLClientConnectionCreator)
@frozen
class _Creator:
    """
    Makes connections to one host.

    C{optionsForClientTLS} is not asked, for it lets in a certificate without any subjectAltName, whatever the host
    (Twisted 26.10: what service_identity raises then is logged and forgotten), and no host with an underscore.
    """

    _host: Authority
    _options: CertificateOptions
    _is_verified: bool

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection: SSL.Connection = self._options.clientConnectionForTLS(tlsProtocol)
        if not self._host.is_address:
            connection.set_tlsext_host_name(self._host.host.encode())
        if self._is_verified:
            connection.set_verify(
                SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _judge_for(self._host, tlsProtocol)
            )
        return connection


@implementer(IPolicyForHTTPS)
@frozen(eq=False)
class UpstreamTrust:
    """
    Verify registries against the system's roots and one file more, but for those that are exempt.

    @ivar is_insecure: tells for whom nothing is verified.
    """

    _verifying: CertificateOptions
    _believing: CertificateOptions
    _is_insecure: Callable[[Authority], bool]

    @classmethod
    def of(cls, ca_file: Path | None, is_insecure: Callable[[Authority], bool]) -> "UpstreamTrust":
        """
        Read the roots, once for all connections: that takes milliseconds.

        @raise ConfigError: if the file is not there, or holds no certificate in PEM.
        """
        verifying = CertificateOptions(trustRoot=_SystemAnd(ca_file), acceptableProtocols=_ALPN)
        try:
            verifying.getContext()
        except SSL.Error:
            raise ConfigError(
                f"UPSTREAM_CA_FILE: {str(ca_file)!r} cannot be read as certificates;"
                " name a PEM file, for example /etc/registryproxy/upstream-ca.pem"
            ) from None
        return cls(verifying, CertificateOptions(verify=False, acceptableProtocols=_ALPN), is_insecure)

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """See L{IPolicyForHTTPS.creatorForNetloc}."""
        authority = Authority(hostname.decode("ascii").strip("[]").rstrip(".").lower(), port)
        if self._is_insecure(authority):
            return _Creator(authority, self._believing, is_verified=False)
        return _Creator(authority, self._verifying, is_verified=True)


def _judge_for(
    authority: Authority, protocol: TLSMemoryBIOProtocol
) -> Callable[[SSL.Connection, X509, int, int, int], bool]:
    """Make the callback that OpenSSL asks about each certificate of a chain, the leaf's last."""
    # OpenSSL keeps the callback where Python's garbage collector does not see the circle.
    weakly = weakref.ref(protocol)

    def judge(_: SSL.Connection, certificate: X509, error: int, depth: int, is_good: int) -> bool:
        reason = None
        if not is_good:
            reason = _REASONS.get(error, f"its certificate is refused by OpenSSL, with error {error}")
        elif depth == 0:
            reason = _why_another(authority, certificate)
        alive = weakly()
        if reason is not None and alive is not None:
            alive.failVerification(Failure(Untrusted(reason)))
        return reason is None

    return judge


def _why_another(authority: Authority, certificate: X509) -> str | None:
    """Tell why a certificate does not name the host, if so."""
    try:
        host: ServiceID = IPAddress_ID(authority.host) if authority.is_address else DNS_ID(authority.host)
        verify_service_identity(_names_in(certificate), [host], [])
    except VerificationError:
        return "its certificate is for another name"
    except (CertificateError, ValueError):
        return "its certificate has no usable subjectAltName"
    return None


def _names_in(certificate: X509) -> list[CertificatePattern]:
    """
    List the hosts that a certificate is for.

    A name that is none, as C{*.corp}, which has too few dots for a wildcard, is left out; service_identity would
    refuse the certificate for it, and with it the good names beside it.

    @raise ValueError: if the certificate is malformed.
    """
    try:
        extension = certificate.to_cryptography().extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as e:
        raise ValueError(str(e)) from e
    names: list[CertificatePattern] = [
        IPAddressPattern(address)
        for address in extension.value.get_values_for_type(x509.IPAddress)
        if isinstance(address, IPv4Address | IPv6Address)
    ]
    for name in extension.value.get_values_for_type(x509.DNSName):
        with suppress(CertificateError):
            names.append(DNSPattern.from_bytes(name.encode("utf-8")))
    return names
