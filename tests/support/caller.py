"""Caller: a client of a channel, all in memory."""

from http.client import HTTPResponse
from io import BytesIO
from typing import cast

from attrs import define, field
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer
from zope.interface.verify import verifyClass

from registryproxy.front.channel import RegistryChannel
from registryproxy.front.limits import Patience
from registryproxy.front.request import RegistryRequest
from registryproxy.front.site import RegistrySite
from registryproxy.wire.authority import Authority


@define
class Answer:
    """One response, as a client reads it."""

    status: int
    fields: dict[str, str]
    body: bytes


class _Socket:
    """As much of a socket as C{HTTPResponse} wants."""

    def __init__(self, stream: BytesIO) -> None:
        self._stream = stream

    def makefile(self, _mode: str) -> BytesIO:
        """Hand over the stream, which outlives each response."""
        stream = self._stream
        stream.close = lambda: None  # type: ignore[method-assign]
        return stream


def answers(written: bytes, *methods: str) -> list[Answer]:
    """Read the responses to requests of these methods; to GET, where there are more."""
    stream = BytesIO(written)
    found: list[Answer] = []
    while stream.tell() < len(written):
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        response = HTTPResponse(cast("object", _Socket(stream)), method=method)  # type: ignore[arg-type]
        response.begin()
        fields = {name.lower(): value for name, value in response.getheaders()}
        found.append(Answer(response.status, fields, response.read()))
    return found


class Hall(Resource):
    """Answers C{hello} to what it is asked, or leaves that to the test."""

    isLeaf = True

    def __init__(self) -> None:
        """Begin with no requests, and answer at once."""
        Resource.__init__(self)
        self.asked: list[RegistryRequest] = []
        self.answers_at_once = True

    def render(self, request: Request) -> bytes | int:
        """Note the request."""
        assert isinstance(request, RegistryRequest)
        self.asked.append(request)
        return b"hello\n" if self.answers_at_once else NOT_DONE_YET

    @property
    def paths(self) -> list[bytes]:
        """Tell what was asked for."""
        return [request.uri for request in self.asked]


@define(eq=False)
class Caller:
    """A client on the other end of a channel, all in memory."""

    resource: Resource = field(factory=Hall)
    patience: Patience = field(factory=Patience)
    authority: Authority | None = None
    clock: Clock = field(factory=Clock)
    reports: list[RegistryRequest] = field(factory=list)
    transport: StringTransport = field(factory=StringTransport)
    channel: RegistryChannel = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Connect."""
        site = RegistrySite(self.resource, self.clock, self.reports.append, self.patience)
        self.channel = site.channel_for(self.authority)
        self.channel.makeConnection(self.transport)

    @property
    def hall(self) -> Hall:
        """The resource, when it is a L{Hall}."""
        assert isinstance(self.resource, Hall)
        return self.resource

    @property
    def methods(self) -> list[str]:
        """Tell the methods of the requests that have had their answers."""
        return [request.method.decode("latin-1") for request in self.reports]

    def send(self, data: bytes) -> None:
        """Send bytes, as they are."""
        self.channel.dataReceived(data)

    def ask(self, data: bytes, *methods: str) -> list[Answer]:
        """Send bytes, and read what has come until now."""
        self.send(data)
        return self.heard(*methods)

    def heard(self, *methods: str) -> list[Answer]:
        """Read what has come until now."""
        return answers(self.transport.value(), *methods)

    def leave(self) -> None:
        """Lose the connection."""
        self.channel.connectionLost(Failure(ConnectionDone()))


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    """Write a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: h", *fields, "", ""]).encode("latin-1")


@implementer(ITCPTransport)
class HalfClosing(StringTransport):
    """
    A transport that can close one side, as TCP does.

    @ivar is_half_closed: whether our side was closed.
    """

    is_half_closed = False

    def loseWriteConnection(self) -> None:
        """Close our side; the other one may go on sending."""
        self.is_half_closed = True

    def getTcpNoDelay(self) -> bool:
        """Tell nothing new."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing."""

    def getTcpKeepAlive(self) -> bool:
        """Tell nothing new."""
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing."""


verifyClass(ITCPTransport, HalfClosing)


def chunked(*chunks: bytes) -> bytes:
    """Write a body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
