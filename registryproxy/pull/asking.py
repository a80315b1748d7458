"""Asking on a client's behalf: with its own credentials, on its own time, and what becomes of a refusal."""

from typing import Self

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from registryproxy.errors import TooLarge, oci_error
from registryproxy.interfaces import Errand, IUpstream, IUpstreamAnswer
from registryproxy.wire.headers import Fields

OK = 200
REFUSAL_BYTES = 64 * 1024
"""Bytes of a refusal's body that are passed on; the rest is cut."""

_MEANINGS = {
    401: ("UNAUTHORIZED", "the registry wants credentials"),
    403: ("DENIED", "the registry does not allow this"),
    404: ("MANIFEST_UNKNOWN", "the registry knows nothing of that name"),
    429: ("TOOMANYREQUESTS", "the registry has been asked too often"),
}


@frozen(eq=False)
class Asker:
    """Asks registries for a client."""

    _upstream: IUpstream
    _clock: IReactorTime

    async def ask(
        self,
        errand: Errand,
        method: str,
        target: str,
        accept: str | None = None,
        follow: bool = True,
        first_byte: bool = False,
    ) -> IUpstreamAnswer:
        """
        Ask the errand's registry, with nothing of the client's but its credentials.

        @param first_byte: whether no more than that is asked for.
        @raise UpstreamError: as L{IUpstream.ask}.
        """
        lines = []
        if errand.authorization is not None:
            lines.append(("authorization", errand.authorization))
        if accept:
            lines.append(("accept", accept))
        if first_byte:
            lines.append(("range", "bytes=0-0"))
        return await self.ask_with(errand, method, target, Fields(lines), follow)

    async def ask_with(
        self, errand: Errand, method: str, target: str, fields: Fields, follow: bool = True
    ) -> IUpstreamAnswer:
        """
        Ask the errand's registry with these fields.

        @raise UpstreamError: as L{IUpstream.ask}.
        """
        began = self._clock.seconds()
        try:
            return await self._upstream.ask(method, errand.registry, target, fields, follow)
        finally:
            errand.upstream_seconds += self._clock.seconds() - began


@implementer(IUpstreamAnswer)
@frozen(eq=False)
class HeldAnswer:
    """An answer whose body is at hand, so that any number of clients can be given it."""

    status: int
    fields: Fields
    length: int | None
    _body: bytes

    @classmethod
    async def of(cls, answer: IUpstreamAnswer) -> Self:
        """
        Read an answer's body, and cut it after L{REFUSAL_BYTES}.

        @raise UpstreamError: if the body breaks off.
        """
        body = (await read_body(answer, REFUSAL_BYTES + 1))[:REFUSAL_BYTES]
        return cls(answer.status, answer.fields, len(body), body)

    @classmethod
    def of_head(cls, answer: IUpstreamAnswer) -> Self:
        """Keep the answer to a HEAD, which has a length but no body."""
        answer.abandon()
        return cls(answer.status, answer.fields, answer.length, b"")

    def as_refusal(self) -> Self:
        """
        Dress the answer to a HEAD as that to a GET: the registry's status and fields, and a body in its stead.

        It spares the registry a second question whose answer is known.
        """
        code, message = _MEANINGS.get(self.status, ("UNAVAILABLE", "the registry cannot answer now"))
        body = oci_error(code, f"{message} (HTTP {self.status})")
        fields = self.fields.without({"content-length"}).with_field("content-type", "application/json")
        return type(self)(self.status, fields, len(body), body)

    def deliver(self, protocol: IProtocol) -> None:
        """See L{IUpstreamAnswer.deliver}."""
        protocol.makeConnection(_Nowhere())  # type: ignore[arg-type]
        if self._body:
            protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone("the body is at hand")))

    def abandon(self) -> None:
        """See L{IUpstreamAnswer.abandon}."""


@implementer(IPushProducer)
@frozen
class _Nowhere:
    """The producer of a body that has been produced."""

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


async def read_body(answer: IUpstreamAnswer, limit: int) -> bytes:
    """
    Read a body into memory, and no more than C{limit} bytes of it.

    @raise UpstreamError: if the body breaks off before the limit.
    """
    reader = _Reader(limit)
    answer.deliver(reader)
    return await reader.whole


async def read_whole_body(answer: IUpstreamAnswer, limit: int, what: str) -> bytes:
    """
    Read a body into memory, all of it.

    @raise TooLarge: if it exceeds C{limit} bytes.
    @raise UpstreamError: if it breaks off.
    """
    body = await read_body(answer, limit + 1)
    if len(body) > limit:
        raise TooLarge(f"{what} is larger than {limit} bytes")
    return body


@define(eq=False)
class _Reader(Protocol):
    _limit: int
    whole: "Deferred[bytes]" = field(init=False)
    _chunks: list[bytes] = field(factory=list, init=False)
    _read: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.whole = Deferred(lambda _: self._stop())

    def dataReceived(self, data: bytes) -> None:
        if self._read >= self._limit:
            return
        self._chunks.append(data)
        self._read += len(data)
        if self._read >= self._limit:
            self._stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if self._read >= self._limit or reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._chunks)[: self._limit])
        else:
            self.whole.errback(reason)

    def _stop(self) -> None:
        transport: IPushProducer = self.transport  # type: ignore[assignment]
        transport.stopProducing()
