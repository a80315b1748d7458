"""Tests for L{registryproxy.front.streaming.BlobSender}, by way of L{send_blob}."""

from attrs import define, field
from hypothesis import given
from hypothesis.strategies import DataObject, binary, data, integers, lists, sampled_from
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import ContentMismatch, UpstreamUnavailable
from registryproxy.front.leaving import ClientGone, ClientStalled
from registryproxy.front.request import RegistryRequest
from registryproxy.front.streaming import CHUNK_BYTES, TURN_BYTES, send_blob
from registryproxy.wire.ranges import Span
from tests.support.blobs import BlobSourceContract, MemoryBlobSource
from tests.support.caller import Caller, get

SEND_TIMEOUT = 60.0


@define(eq=False)
class Sending:
    """A blob on its way to a client who asked for it."""

    source: MemoryBlobSource
    span: Span | None = None
    caller: Caller = field(factory=Caller)
    request: RegistryRequest = field(init=False)
    sent: "Deferred[None]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Ask, and begin to send."""
        self.caller.hall.answers_at_once = False
        self.caller.send(get("/"))
        self.request = self.caller.hall.asked[-1]
        self.request.setHeader(
            "content-length", "999"
        )  # keeps the body free of chunks, so that it can be read here
        self.sent = Deferred.fromCoroutine(
            send_blob(self.source, self.request, self.span, self.caller.clock, SEND_TIMEOUT)
        )

    @property
    def body(self) -> bytes:
        """Tell what of the body has come."""
        written: bytes = self.caller.transport.value()
        return written.partition(b"\r\n\r\n")[2]

    def pause(self) -> None:
        """Let the client take nothing for now."""
        self.caller.channel.pauseProducing()

    def resume(self) -> None:
        """Let the client take what there is."""
        self.caller.channel.resumeProducing()


class MemoryBlobSourceTests(BlobSourceContract, SynchronousTestCase):
    """The fake does what every source does."""

    def make_source(self, content: bytes) -> MemoryBlobSource:
        """Make a whole one."""
        return MemoryBlobSource.whole(content)


class SendingTestCase(SynchronousTestCase):
    """What the tests below share."""

    def assert_tidy(self, sending: Sending) -> None:
        """Assert that neither timer, waiter nor producer is left behind."""
        sending.caller.leave()
        self.assertEqual(sending.caller.clock.getDelayedCalls(), [])
        self.assertEqual(sending.source.waiting, 0)
        self.assertIsNone(sending.request.producer)


class WholeTests(SendingTestCase):
    """Content that is all there."""

    def test_all_of_it(self) -> None:
        """Without a span, all of it is sent; the answer is left for others to end, the source for others to close."""
        sending = Sending(MemoryBlobSource.whole(b"content"))
        self.assertIsNone(self.successResultOf(sending.sent))
        self.assertEqual(
            (sending.body, sending.source.is_closed, sending.request.finished), (b"content", False, 0)
        )
        self.assert_tidy(sending)

    def test_span(self) -> None:
        """A span is sent, and nothing around it is read."""
        sending = Sending(MemoryBlobSource.whole(b"content"), Span(3, 5))
        self.successResultOf(sending.sent)
        self.assertEqual((sending.body, sending.source.reads), (b"te", [(3, 2)]))

    def test_empty(self) -> None:
        """Empty content is sent by sending nothing."""
        sending = Sending(MemoryBlobSource.whole(b""))
        self.successResultOf(sending.sent)
        self.assert_tidy(sending)

    def test_shrunk(self) -> None:
        """Content that has become shorter than it was is found out; what was sent must not be ended."""
        source = MemoryBlobSource.whole(b"content")
        source.shrink(4)
        sending = Sending(source)
        failure = self.failureResultOf(sending.sent, ContentMismatch)
        self.assertIn("after 4 bytes, before 7", str(failure.value))
        self.assertEqual(sending.body, b"cont")
        self.assert_tidy(sending)

    def test_pieces(self) -> None:
        """Content is read and written in pieces of a bounded size."""
        content = bytes(CHUNK_BYTES) * 2 + b"end"
        sending = Sending(MemoryBlobSource.whole(content))
        self.successResultOf(sending.sent)
        self.assertEqual(
            sending.source.reads, [(0, CHUNK_BYTES), (CHUNK_BYTES, CHUNK_BYTES), (2 * CHUNK_BYTES, 3)]
        )
        self.assertEqual(sending.body, content)


class PaceTests(SendingTestCase):
    """The client sets the pace."""

    def growing(self) -> Sending:
        """Send content of 30 bytes of which 10 are there."""
        source = MemoryBlobSource.growing(b"x" * 30, 30)
        source.grow(b"x" * 10)
        return Sending(source)

    def test_paused(self) -> None:
        """While the client takes nothing, nothing is written; then it goes on where it was."""
        sending = self.growing()
        sending.pause()
        sending.source.grow(b"y" * 20)
        reads = len(sending.source.reads)
        self.assertEqual(len(sending.body), 30)  # one piece was being waited for when the client paused
        sending.source.end()
        sending.resume()
        self.successResultOf(sending.sent)
        self.assertEqual(len(sending.source.reads), reads)

    def test_paused_between_pieces(self) -> None:
        """A client that pauses gets not one piece more."""
        content = bytes(TURN_BYTES + 2 * CHUNK_BYTES)
        sending = Sending(MemoryBlobSource.whole(content))
        sending.pause()
        sending.caller.clock.advance(0)
        written = len(sending.body)
        sending.caller.clock.advance(1)
        self.assertEqual(len(sending.body), written)
        sending.resume()
        self.successResultOf(sending.sent)
        self.assertEqual(sending.body, content)
        self.assert_tidy(sending)

    def test_resumed_in_vain(self) -> None:
        """To resume twice, or what was never paused, changes nothing."""
        sending = self.growing()
        for order in (sending.resume, sending.pause, sending.pause, sending.resume, sending.resume):
            order()
        sending.source.grow(b"y" * 20)
        self.successResultOf(sending.sent)
        self.assert_tidy(sending)

    def test_others_have_their_turn(self) -> None:
        """A client that takes everything at once gets a bounded amount, then the reactor has its turn."""
        content = bytes(3 * TURN_BYTES)
        sending = Sending(MemoryBlobSource.whole(content))
        self.assertEqual(len(sending.body), TURN_BYTES)
        self.assertEqual(len(sending.caller.clock.getDelayedCalls()), 1)
        sending.caller.clock.advance(0)
        self.successResultOf(sending.sent)
        self.assertEqual(sending.body, content)
        self.assert_tidy(sending)

    def test_no_recursion(self) -> None:
        """However long the content and however often the client pauses, the stack does not grow."""
        sending = Sending(MemoryBlobSource.whole(bytes(5 * TURN_BYTES)))
        for _ in range(2000):
            sending.pause()
            sending.resume()
        while not sending.sent.called:
            sending.caller.clock.advance(0)
        self.assertEqual(len(sending.body), 5 * TURN_BYTES)

    @given(data(), binary(max_size=200))
    def test_whatever_the_pace(self, draw: DataObject, content: bytes) -> None:
        """Whatever the paces of source and client, the client gets the content."""
        source = MemoryBlobSource.growing(content, draw.draw(sampled_from([None, len(content)])))
        sending = Sending(source)
        left = content
        for step in draw.draw(lists(integers(-2, 40), max_size=20)):
            if step < 0:
                (sending.pause if step == -2 else sending.resume)()
            else:
                source.grow(left[:step])
                left = left[step:]
            sending.caller.clock.advance(0)
        source.grow(left)
        source.end()
        sending.resume()
        self.successResultOf(sending.sent)
        self.assertEqual(sending.body, content)
        self.assert_tidy(sending)


class GrowingTests(SendingTestCase):
    """Content that still arrives."""

    def test_as_it_arrives(self) -> None:
        """What arrives is sent at once."""
        sending = Sending(MemoryBlobSource.growing(b"content", 7))
        for piece, so_far in ((b"con", b"con"), (b"ten", b"conten"), (b"t", b"content")):
            self.assertNoResult(sending.sent)
            sending.source.grow(piece)
            self.assertEqual(sending.body, so_far)
        self.successResultOf(sending.sent)

    def test_of_unknown_size(self) -> None:
        """Where nobody knows the size, it is sent to wherever it ends."""
        sending = Sending(MemoryBlobSource.growing(b"content"))
        sending.source.grow(b"content")
        self.assertNoResult(sending.sent)
        sending.source.end()
        self.successResultOf(sending.sent)
        self.assertEqual(sending.body, b"content")

    def test_fails(self) -> None:
        """When the rest will never come, the failure is passed on, and what was sent is not ended."""
        sending = Sending(MemoryBlobSource.growing(b"content", 7))
        sending.source.grow(b"con")
        sending.source.fail(UpstreamUnavailable("it broke off"))
        self.failureResultOf(sending.sent, UpstreamUnavailable)
        self.assertEqual((sending.body, sending.request.finished), (b"con", 0))
        self.assert_tidy(sending)

    def test_ends_early(self) -> None:
        """Content that ends before its promised size is found out."""
        source = MemoryBlobSource.growing(b"content", 7)
        sending = Sending(source, Span(0, 7))
        source.grow(b"con")
        source.end()
        self.failureResultOf(sending.sent, ContentMismatch)


class LeavingTests(SendingTestCase):
    """Clients that do not stay to the end."""

    def waiting(self) -> Sending:
        """Send content that does not come."""
        return Sending(MemoryBlobSource.growing(b"content", 7))

    def test_while_waiting_for_content(self) -> None:
        """A client that leaves while there is nothing for it ends the sending."""
        sending = self.waiting()
        sending.caller.channel.stopProducing()
        self.failureResultOf(sending.sent, ClientGone)
        self.assert_tidy(sending)

    def test_while_paused(self) -> None:
        """A client that leaves while it takes nothing does, too."""
        sending = Sending(MemoryBlobSource.whole(bytes(2 * TURN_BYTES)))
        sending.pause()
        sending.caller.clock.advance(0)
        sending.caller.channel.stopProducing()
        self.failureResultOf(sending.sent, ClientGone)
        self.assert_tidy(sending)

    def test_between_turns(self) -> None:
        """A client that leaves while others have their turn does, too."""
        sending = Sending(MemoryBlobSource.whole(bytes(2 * TURN_BYTES)))
        sending.caller.channel.stopProducing()
        self.failureResultOf(sending.sent, ClientGone)
        self.assert_tidy(sending)

    def test_before_the_first_byte(self) -> None:
        """For a client that has left already nothing is read."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/"))
        caller.leave()
        source = MemoryBlobSource.whole(b"content")
        sent = Deferred.fromCoroutine(
            send_blob(source, caller.hall.asked[0], None, caller.clock, SEND_TIMEOUT)
        )
        self.failureResultOf(sent, ClientGone)
        self.assertEqual((source.reads, caller.clock.getDelayedCalls()), ([], []))

    def test_cancelled(self) -> None:
        """Whoever sends may cancel, wherever it waits, and nothing is left behind."""
        turning = Sending(MemoryBlobSource.whole(bytes(2 * TURN_BYTES)))
        paused = Sending(MemoryBlobSource.whole(bytes(2 * TURN_BYTES)))
        paused.pause()
        paused.caller.clock.advance(0)
        for sending in (self.waiting(), turning, paused):
            sending.sent.cancel()
            self.failureResultOf(sending.sent, CancelledError)
            self.assert_tidy(sending)

    def paused(self, turns: int = 2) -> Sending:
        """Send to a client that takes nothing."""
        sending = Sending(MemoryBlobSource.whole(bytes(turns * TURN_BYTES)))
        sending.pause()
        sending.caller.clock.advance(0)
        return sending

    def test_stalls(self) -> None:
        """A client that takes nothing for so long is aborted, for otherwise it would hold the blob for ever."""
        sending = self.paused()
        sending.caller.clock.advance(SEND_TIMEOUT - 1)
        self.assertNoResult(sending.sent)
        sending.caller.clock.advance(1)
        self.failureResultOf(sending.sent, ClientStalled)
        self.assertTrue(sending.caller.transport.disconnected)
        self.assert_tidy(sending)

    def test_slow_but_honest(self) -> None:
        """A client that takes something now and then is never too slow."""
        sending = self.paused(20)
        for _ in range(10):
            sending.caller.clock.advance(SEND_TIMEOUT - 1)
            sending.resume()
            sending.pause()
        self.assertFalse(sending.caller.transport.disconnected)
        sending.caller.clock.advance(SEND_TIMEOUT)
        self.failureResultOf(sending.sent, ClientStalled)

    def test_upstream_is_not_the_clients_fault(self) -> None:
        """While there is nothing to take, nobody counts the client's time."""
        sending = self.waiting()
        sending.caller.clock.advance(10 * SEND_TIMEOUT)
        self.assertNoResult(sending.sent)
