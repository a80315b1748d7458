"""Whom we believe: the certificates of registries."""

from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen
from OpenSSL import SSL
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from registryproxy.errors import ConfigError
from registryproxy.wire.authority import Authority

_ALPN = [b"http/1.1"]
_KEPT_CREATORS = 256


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
class _Unverified:
    """Encrypt, but believe any certificate: the operator has said so."""

    _host: str
    _is_address: bool
    _context: SSL.Context

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        if not self._is_address:
            connection.set_tlsext_host_name(self._host.encode())
        return connection


@implementer(IPolicyForHTTPS)
@define(eq=False)
class UpstreamTrust:
    """
    Verify registries against the system's roots and one file more, but for those that are exempt.

    @ivar is_insecure: tells for whom nothing is verified.
    """

    _ca_file: Path | None
    _is_insecure: Callable[[Authority], bool]
    _creators: dict[Authority, IOpenSSLClientConnectionCreator] = field(factory=dict, init=False)

    @classmethod
    def of(cls, ca_file: Path | None, is_insecure: Callable[[Authority], bool]) -> "UpstreamTrust":
        """
        Check that the file can be read.

        @raise ConfigError: if the file is not there, or holds no certificate in PEM.
        """
        try:
            _SystemAnd(ca_file)._addCACertsToContext(SSL.Context(SSL.TLS_CLIENT_METHOD))  # noqa: SLF001
        except SSL.Error:
            raise ConfigError(
                f"UPSTREAM_CA_FILE: {str(ca_file)!r} cannot be read as certificates;"
                " name a PEM file, for example /etc/registryproxy/upstream-ca.pem"
            ) from None
        return cls(ca_file, is_insecure)

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """See L{IPolicyForHTTPS.creatorForNetloc}; a context takes milliseconds to build, so some are kept."""
        authority = Authority(hostname.decode("ascii").strip("[]"), port)
        creator = self._creators.pop(authority, None) or self._create(authority)
        self._creators[authority] = creator
        if len(self._creators) > _KEPT_CREATORS:
            del self._creators[next(iter(self._creators))]
        return creator

    def _create(self, authority: Authority) -> IOpenSSLClientConnectionCreator:
        if self._is_insecure(authority):
            options = CertificateOptions(verify=False, acceptableProtocols=_ALPN)
            return _Unverified(authority.host, authority.is_address, options.getContext())
        creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
            authority.host, trustRoot=_SystemAnd(self._ca_file), acceptableProtocols=_ALPN
        )
        return creator
