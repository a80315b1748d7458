"""Tests for L{registryproxy.upstream.answer}: bodies, how they end, and how long they may be silent."""

from typing import Any

from attrs import define, field
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH
from zope.interface import implementer
from zope.interface.verify import verifyObject

from registryproxy.errors import UpstreamSilent, UpstreamUnavailable
from registryproxy.upstream.answer import UpstreamAnswer
from tests.support.outside import SILENCE, Collector, collected

DONE = Failure(ResponseDone())
SMALL = 64 * 1024


@implementer(IPushProducer)
@define(eq=False)
class Body:
    """
    A response as Twisted gives it, whose body comes as the test says.

    @ivar early: what is there before anybody reads.
    @ivar calls: what was asked of the connection.
    @ivar ends_with: what happens when the connection is closed by us; None: nothing, as when the other side is dead.
    """

    early: list[bytes] = field(factory=list)
    end: Failure | None = None
    ends_with: Failure | None = field(factory=lambda: Failure(ConnectionDone()))
    calls: list[str] = field(factory=list)
    code: int = 200
    length: object = UNKNOWN_LENGTH
    headers: Headers = field(factory=Headers)
    reader: Any = None

    def deliverBody(self, reader: IProtocol) -> None:
        """Do as Twisted does: give what is there, and only then read on, whatever the reader has asked for."""
        self.reader = reader
        reader.makeConnection(self)  # type: ignore[arg-type]
        for data in self.early:
            reader.dataReceived(data)
        if self.end is not None:
            reader.connectionLost(self.end)
        else:
            self.calls.append("resume")

    def pauseProducing(self) -> None:
        """Note it."""
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """Note it, and end."""
        self.calls.append("stop")
        if self.ends_with is not None:
            self.reader.connectionLost(self.ends_with)


class Impatient(Collector):
    """A reader that asks for a pause before it has read anything."""

    def connectionMade(self) -> None:
        """Ask for it."""
        self.producer.pauseProducing()


class BodyTestCase(SynchronousTestCase):
    """A body, and a clock."""

    def setUp(self) -> None:
        """Set the clock."""
        self.clock = Clock()
        self.body = Body()

    def answer(self) -> UpstreamAnswer:
        """Wrap the body as an answer."""
        return UpstreamAnswer.of(self.body, "GET", "registry.test", self.clock, SILENCE)  # type: ignore[arg-type]

    def reading(self) -> Collector:
        """Begin to read it."""
        return collected(self.answer())

    def assertEnded(self, reader: Collector, kind: type[BaseException]) -> str:
        """Fail unless the reader was told so, once, and nothing is left to happen; return the sentence."""
        assert reader.end is not None
        self.assertIs(reader.end.type, kind)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return str(reader.end.value)


class EndTests(BodyTestCase):
    """How bodies end."""

    def test_well(self) -> None:
        """A body that is there already, or still comes, ends as Twisted says."""
        for end in (DONE, Failure(PotentialDataLoss())):
            self.body = Body([b"hel"], end=end)
            self.assertEqual(self.reading().body, b"hel")
            self.body = Body([b"hel"])
            reader = self.reading()
            self.body.reader.dataReceived(b"lo")
            self.assertEqual((reader.body, reader.end), (b"hello", None))
            self.body.reader.connectionLost(end)
            assert end.type is not None
            self.assertEnded(reader, end.type)

    def test_badly(self) -> None:
        """A body that is cut, in whatever way, is said to be, with the registry's name and no more."""
        for end in (
            ResponseFailed([Failure(ConnectionLost("secret"))]),
            ConnectionDone(),
            ZeroDivisionError("secret"),
        ):
            self.body = Body()
            reader = self.reading()
            self.body.reader.connectionLost(Failure(end))
            said = self.assertEnded(reader, UpstreamUnavailable)
            self.assertEqual(said, "registry.test broke off in the middle of its answer")

    def test_read_no_further(self) -> None:
        """A reader that has enough closes the connection, and is told of the end, once."""
        reader = self.reading()
        reader.producer.stopProducing()
        self.assertEqual(self.body.calls, ["resume", "stop"])
        self.assertEnded(reader, UpstreamUnavailable)


class SilenceTests(BodyTestCase):
    """How long a body may be silent."""

    def test_is_a_producer(self) -> None:
        """Readers see what they count on."""
        self.assertTrue(verifyObject(IPushProducer, self.reading().producer))
        self.clock.advance(SILENCE)

    def test_silent(self) -> None:
        """A body that is silent for the time set is given up then, not sooner, and the connection is closed."""
        reader = self.reading()
        self.clock.advance(SILENCE - 1)
        self.assertIsNone(reader.end)
        self.clock.advance(1)
        said = self.assertEnded(reader, UpstreamSilent)
        self.assertEqual(said, "registry.test sent nothing more for 60 seconds")
        self.assertEqual(self.body.calls, ["resume", "stop"])

    def test_slow_is_not_silent(self) -> None:
        """However slow and long a body is, each piece begins the time anew."""
        reader = self.reading()
        for _ in range(100):
            self.clock.advance(SILENCE - 1)
            self.body.reader.dataReceived(b"x")
        self.assertEqual((len(reader.body), reader.end), (100, None))
        self.clock.advance(SILENCE)
        self.assertEnded(reader, UpstreamSilent)

    def test_paused(self) -> None:
        """While the reader itself has asked for a pause, silence is nobody's fault; after it, it is again."""
        reader = self.reading()
        self.clock.advance(SILENCE - 1)
        reader.producer.pauseProducing()
        reader.producer.pauseProducing()
        self.clock.advance(10_000)
        self.assertIsNone(reader.end)
        reader.producer.resumeProducing()
        self.clock.advance(SILENCE - 1)
        self.assertIsNone(reader.end)
        self.clock.advance(1)
        self.assertEnded(reader, UpstreamSilent)

    def test_data_in_a_pause(self) -> None:
        """What still comes though a pause was asked for is passed on, and begins no time."""
        reader = self.reading()
        reader.producer.pauseProducing()
        self.body.reader.dataReceived(b"x")
        self.clock.advance(10_000)
        self.assertEqual((reader.body, reader.end), (b"x", None))

    def test_paused_at_once(self) -> None:
        """A reader that asks for a pause before it has read anything gets it: Twisted would read on."""
        reader = Impatient()
        self.answer().deliver(reader)
        self.assertEqual(self.body.calls[-1], "pause")
        self.clock.advance(10_000)
        self.assertIsNone(reader.end)

    def test_nothing_after_the_end(self) -> None:
        """Whatever a reader asks for after the end makes no clock tick and ends nothing twice."""
        self.body = Body([b"x"], end=DONE)
        reader = Impatient()
        self.answer().deliver(reader)
        reader.producer.resumeProducing()
        reader.producer.pauseProducing()
        reader.producer.resumeProducing()
        self.assertEnded(reader, ResponseDone)

    def test_stopped_is_not_silent(self) -> None:
        """A reader that has closed the connection waits for no more, though its end be slow to come."""
        self.body.ends_with = None
        reader = self.reading()
        reader.producer.stopProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.body.reader.connectionLost(Failure(ConnectionDone()))
        self.assertEnded(reader, UpstreamUnavailable)


class AbandonTests(BodyTestCase):
    """Answers whose bodies nobody wants."""

    def test_small(self) -> None:
        """A small body is read to its end, so that the connection can be used again."""
        self.answer().abandon()
        for _ in range(64):
            self.body.reader.dataReceived(bytes(1024))
        self.assertEqual(self.body.calls, ["resume"])
        self.body.reader.connectionLost(DONE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """A large one is cut off as soon as it turns out to be one."""
        self.answer().abandon()
        self.body.reader.dataReceived(bytes(SMALL))
        self.assertEqual(self.body.calls, ["resume"])
        self.body.reader.dataReceived(b"x")
        self.assertEqual(self.body.calls, ["resume", "stop"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """One that never ends does not keep its connection for ever."""
        self.answer().abandon()
        self.clock.advance(SILENCE)
        self.assertEqual(self.body.calls, ["resume", "stop"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_already_there(self) -> None:
        """One that is there already costs nothing."""
        self.body = Body([b"x"], end=DONE)
        self.answer().abandon()
        self.assertEqual((self.body.calls, self.clock.getDelayedCalls()), ([], []))
