"""Tests for L{registryproxy.front.streaming.RelaySender}, by way of L{relay_body}."""

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer
from zope.interface.verify import verifyObject

from registryproxy.errors import TooLarge, UpstreamUnavailable
from registryproxy.front.leaving import ClientGone, ClientStalled
from registryproxy.front.request import RegistryRequest
from registryproxy.front.streaming import relay_body
from registryproxy.interfaces import IUpstreamAnswer
from registryproxy.wire.headers import Fields
from tests.support.caller import Caller, get

SEND_TIMEOUT = 60.0


@implementer(IUpstreamAnswer)
@define(eq=False)
class BodyInHand:
    """A registry's answer whose body the test sends."""

    status: int = 200
    fields: Fields = field(factory=Fields)
    length: int | None = None
    transport: StringTransport = field(factory=StringTransport)
    was_abandoned: bool = False
    receiver: IProtocol | None = None

    def deliver(self, protocol: IProtocol) -> None:
        """See L{IUpstreamAnswer.deliver}."""
        self.receiver = protocol
        protocol.makeConnection(self.transport)

    def abandon(self) -> None:
        """See L{IUpstreamAnswer.abandon}."""
        self.was_abandoned = True

    def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        assert self.receiver is not None
        self.receiver.dataReceived(data)

    def end(self, reason: Exception) -> None:
        """End the body, well or not."""
        assert self.receiver is not None
        self.receiver.connectionLost(Failure(reason))


@define(eq=False)
class Relaying:
    """A body on its way from a registry to a client."""

    limit: int | None = None
    answer: BodyInHand = field(factory=BodyInHand)
    caller: Caller = field(factory=Caller)
    request: RegistryRequest = field(init=False)
    relayed: "Deferred[None]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Ask, and begin to relay."""
        self.caller.hall.answers_at_once = False
        self.caller.send(get("/"))
        self.request = self.caller.hall.asked[0]
        self.request.setHeader("content-length", "999")
        self.relayed = Deferred.fromCoroutine(
            relay_body(self.answer, self.request, self.caller.clock, SEND_TIMEOUT, self.limit)
        )

    @property
    def body(self) -> bytes:
        """Tell what of the body has come."""
        written: bytes = self.caller.transport.value()
        return written.partition(b"\r\n\r\n")[2]

    @property
    def upstream(self) -> str:
        """Tell whether the registry is being read from: producing, paused or stopped."""
        return str(self.answer.transport.producerState)


class RelayTests(SynchronousTestCase):
    """A registry's body, passed on."""

    def assert_let_go(self, relaying: Relaying) -> None:
        """Assert that the registry's connection is closed, and that nothing is left behind."""
        self.assertEqual(relaying.upstream, "stopped")
        self.assert_tidy(relaying)

    def assert_tidy(self, relaying: Relaying) -> None:
        """Assert that neither timer nor producer is left behind."""
        self.assertIsNone(relaying.request.producer)
        relaying.caller.leave()
        self.assertEqual(relaying.caller.clock.getDelayedCalls(), [])

    def test_fake_is_true(self) -> None:
        """The fake answer has what an answer has."""
        self.assertTrue(verifyObject(IUpstreamAnswer, BodyInHand()))

    def test_passes_on(self) -> None:
        """What the registry sends is written at once; at its end the answer is left for others to end."""
        relaying = Relaying()
        relaying.answer.send(b"con")
        self.assertEqual(relaying.body, b"con")
        relaying.answer.send(b"tent")
        self.assertNoResult(relaying.relayed)
        relaying.answer.end(ResponseDone())
        self.successResultOf(relaying.relayed)
        self.assertEqual((relaying.body, relaying.request.finished), (b"content", 0))
        self.assertEqual(relaying.upstream, "producing")  # the connection may serve again
        self.assert_tidy(relaying)

    def test_ends_by_closing(self) -> None:
        """A body without a length ends well when the registry closes, for nobody knows better."""
        relaying = Relaying()
        relaying.answer.end(PotentialDataLoss())
        self.successResultOf(relaying.relayed)

    def test_cut(self) -> None:
        """A body that is cut is a failure, so that it is not ended for the client either."""
        relaying = Relaying()
        relaying.answer.send(b"con")
        relaying.answer.end(UpstreamUnavailable("it broke off"))
        self.failureResultOf(relaying.relayed, UpstreamUnavailable)
        self.assertEqual(relaying.request.finished, 0)
        self.assert_tidy(relaying)

    def test_client_sets_the_pace(self) -> None:
        """While the client takes nothing, the registry is not read from."""
        relaying = Relaying()
        relaying.caller.channel.pauseProducing()
        self.assertEqual(relaying.upstream, "paused")
        relaying.caller.channel.resumeProducing()
        self.assertEqual(relaying.upstream, "producing")

    def test_client_leaves(self) -> None:
        """When the client leaves, the registry's connection is closed."""
        relaying = Relaying()
        relaying.caller.channel.stopProducing()
        self.failureResultOf(relaying.relayed, ClientGone)
        relaying.answer.send(b"too late")
        relaying.answer.end(UpstreamUnavailable("closed by us"))
        self.assertEqual(relaying.body, b"")
        self.assert_let_go(relaying)

    def test_client_left_before(self) -> None:
        """For a client that has left, no body is read at all."""
        relaying = Relaying()
        relaying.caller.leave()
        answer = BodyInHand()
        late = Deferred.fromCoroutine(
            relay_body(answer, relaying.request, relaying.caller.clock, SEND_TIMEOUT)
        )
        self.failureResultOf(late, ClientGone)
        self.assertEqual((answer.was_abandoned, answer.receiver), (True, None))
        relaying.relayed.cancel()
        self.failureResultOf(relaying.relayed, CancelledError)

    def test_client_stalls(self) -> None:
        """A client that takes nothing for too long is aborted, and the registry's connection closed."""
        relaying = Relaying()
        relaying.caller.channel.pauseProducing()
        relaying.caller.clock.advance(SEND_TIMEOUT)
        self.failureResultOf(relaying.relayed, ClientStalled)
        self.assertTrue(relaying.caller.transport.disconnected)
        self.assert_let_go(relaying)

    def test_cancelled(self) -> None:
        """Whoever relays may cancel; the registry's connection is then closed."""
        relaying = Relaying()
        relaying.relayed.cancel()
        self.failureResultOf(relaying.relayed, CancelledError)
        self.assert_let_go(relaying)

    def test_at_the_limit(self) -> None:
        """A body as long as the limit passes."""
        relaying = Relaying(limit=7)
        relaying.answer.send(b"content")
        relaying.answer.end(ResponseDone())
        self.successResultOf(relaying.relayed)

    def test_beyond_the_limit(self) -> None:
        """A body that is longer is broken off, with nothing of the piece that was too much."""
        relaying = Relaying(limit=7)
        relaying.answer.send(b"content")
        relaying.answer.send(b"s")
        self.failureResultOf(relaying.relayed, TooLarge)
        self.assertEqual(relaying.body, b"content")
        self.assert_let_go(relaying)
