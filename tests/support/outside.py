"""The way out, to registries that live in memory."""

from typing import Any

from attrs import define, field
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent
from twisted.web.resource import IResource

from registryproxy.interfaces import IUpstreamAnswer
from registryproxy.upstream.agent import VerbatimAgent
from registryproxy.upstream.client import Upstream
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields
from tests.support.house import ONE

SILENCE = 60.0


@define(eq=False)
class Collector(Protocol):
    """
    Reads a body.

    @ivar received: the pieces, as they came.
    @ivar end: why it ended; None while it has not.
    """

    received: list[bytes] = field(factory=list, init=False)
    end: Failure | None = field(default=None, init=False)
    ended: "Deferred[None]" = field(factory=Deferred, init=False)
    transport: Any = field(default=None, init=False)

    @property
    def body(self) -> bytes:
        """All that came."""
        return b"".join(self.received)

    @property
    def producer(self) -> IPushProducer:
        """Whoever sends it."""
        producer: IPushProducer = self.transport
        return producer

    def dataReceived(self, data: bytes) -> None:
        """Take a piece."""
        self.received.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end, of which there is one."""
        assert self.end is None, "ended twice"
        self.end = reason
        self.ended.callback(None)


def collected(answer: IUpstreamAnswer) -> Collector:
    """Begin to read a body."""
    collector = Collector()
    answer.deliver(collector)
    return collector


@define(eq=False)
class Outside:
    """
    The way out to what a resource serves, under whatever name.

    @ivar agent: another way out than that.
    """

    resource: IResource | None = None
    agent: IAgent | None = None
    clock: Clock = field(factory=Clock)
    traversal: RequestTraversalAgent | None = field(default=None, init=False)
    upstream: Upstream = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open it."""
        if self.agent is None:
            self.agent = self.traversal = RequestTraversalAgent(self.resource)
        self.upstream = Upstream.over(VerbatimAgent(self.agent), self.clock, SILENCE)

    def ask(
        self,
        method: str = "GET",
        target: str = "/v2/",
        registry: Authority = ONE,
        fields: Fields = Fields(),  # noqa: B008  immutable
        follow: bool = True,
    ) -> "Deferred[Any]":
        """Ask, and let the registry answer."""
        asked: Deferred[Any] = Deferred.fromCoroutine(
            self.upstream.ask(method, registry, target, fields, follow)
        )
        self.flush()
        return asked

    def flush(self) -> None:
        """Carry what was written to the other side."""
        if self.traversal is not None:
            self.traversal.flush()
