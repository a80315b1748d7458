"""TLS handshakes in memory, as a client sees them."""

from contextlib import suppress
from typing import Any

from attrs import frozen
from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from zope.interface import implementer


def certificates_sent(context: SSL.Context) -> list[x509.Certificate]:
    """Return what a server with this context shows to a client that asks no questions: leaf first."""
    client, server = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD)), SSL.Connection(context)
    shake_hands(client, server)
    return list(client.get_peer_cert_chain(as_cryptography=True) or [])


def shake_hands(client: Any, server: Any) -> None:
    """
    Carry bytes to and fro until both sides are content.

    @raise SSL.Error: if one of them is not.
    """
    client.set_connect_state()
    server.set_accept_state()
    waiting = {client, server}
    while waiting:
        for each, other in ((client, server), (server, client)):
            try:
                each.do_handshake()
            except SSL.WantReadError:
                pass
            else:
                waiting.discard(each)
            with suppress(SSL.WantReadError):
                other.bio_write(each.bio_read(2**20))


@implementer(IHandshakeListener)
class Client(Protocol):
    """Remembers how the handshake went."""

    transport: Any
    agreed: bytes | None = None
    failure: Failure | None = None

    def handshakeCompleted(self) -> None:
        """Remember what was agreed upon."""
        self.agreed = self.transport.negotiatedProtocol

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Remember why it failed."""
        self.failure = reason


@implementer(IOpenSSLServerConnectionCreator)
@frozen
class Given:
    """Serves with a context that is there already."""

    _context: SSL.Context

    def serverConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """See C{IOpenSSLServerConnectionCreator.serverConnectionForTLS}."""
        return SSL.Connection(self._context, None)


def agreed_protocol(context: SSL.Context, client_options: Any) -> bytes | None:
    """
    Let Twisted's own client and server meet, and return the protocol that they agreed upon by ALPN.

    @raise SSL.Error: if the client does not trust the server.
    """
    clock, client = Clock(), Client()
    server = TLSMemoryBIOFactory(Given(context), False, Factory.forProtocol(Protocol), clock).buildProtocol(
        None
    )
    wrapped = TLSMemoryBIOFactory(client_options, True, Factory.forProtocol(lambda: client), clock)
    outer = wrapped.buildProtocol(None)
    pump = connect(server, FakeTransport(server, True), outer, FakeTransport(outer, False), clock=clock)
    pump.flush()
    if client.failure is not None:
        client.failure.raiseException()
    return client.agreed
