"""What a connection may become, who knows how, and what the log is told of it."""

from collections.abc import Callable
from typing import Literal

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime

from registryproxy.door.tunnel import TunnelPatience
from registryproxy.wire.authority import Authority

Result = Literal["tunnelled", "refused", "failed"]
"""What became of a CONNECT: C{refused} by our rules, C{failed} for the network's sake."""


@frozen(kw_only=True)
class ConnectReport:
    """
    What the log may say of a CONNECT that was not intercepted, or of a head that was not understood.

    @ivar client: the client's address.
    @ivar authority: where to; None where that was not understood.
    @ivar status: of the answer; 499 where the client left before there was one.
    @ivar bytes_up: from the client to the host.
    @ivar bytes_down: from the host to the client.
    @ivar seconds: from the connection's beginning to its end, or to the answer.
    @ivar reason: one sentence, why there was no tunnel.
    """

    client: str
    authority: Authority | None
    result: Result
    status: int
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0
    reason: str = ""


@frozen(kw_only=True)
class Ways:
    """
    What a connection may become, and who knows how.

    @ivar pages: makes the protocol of plain HTTP for a client's address.
    @ivar is_listed: tells whether we stand in for an authority.
    @ivar intercept: makes the protocol, TLS and all, that stands in for it.
    @ivar dial: connects to another, or fails as one of our errors; see C{Dialler.dial}.
    @ivar report: is called once for each tunnel that ended, and each CONNECT that came to none.
    @ivar head_timeout: seconds for the whole first head.
    """

    clock: IReactorTime
    pages: Callable[[IAddress], IProtocol | None]
    is_listed: Callable[[Authority], bool]
    intercept: Callable[[Authority], IProtocol]
    dial: Callable[[Authority, IProtocolFactory], Deferred[IProtocol]]
    report: Callable[[ConnectReport], None]
    head_timeout: float = 60.0
    patience: TunnelPatience = field(factory=TunnelPatience)
