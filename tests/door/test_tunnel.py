"""Tests for L{registryproxy.door.tunnel}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from registryproxy.door import tunnel
from registryproxy.door.tunnel import Tunnel, TunnelEnd, TunnelPatience
from tests.door.wires import Wire, tls_wire, wire

PATIENCE = TunnelPatience(read=60.0, send=20.0)


class TunnelTestCase(SynchronousTestCase):
    """Has a tunnel that stands, and is both peers."""

    def setUp(self) -> None:
        """Join both ends."""
        self.patch(tunnel, "unacknowledged", self.unacknowledged)
        self.join(wire, wire)

    def join(self, client_wire: type[Wire] | object, upstream_wire: type[Wire] | object) -> None:
        """Join both ends of connections of these kinds."""
        self.clock = Clock()
        self.ended = 0
        client, upstream = TunnelEnd(), TunnelEnd()
        self.client, self.upstream = client_wire(client), upstream_wire(upstream)  # type: ignore[operator]
        self.tunnel = Tunnel(client, upstream, self.clock, PATIENCE, self.end)
        self.tunnel.join()

    def unacknowledged(self, transport: Wire) -> int:
        """Stand in for the kernel, which can be asked only while there is a socket."""
        self.assertFalse(transport.is_lost)
        return transport.waiting

    def end(self) -> None:
        """Count how often the tunnel has ended."""
        self.ended += 1

    def pass_time(self, seconds: float) -> None:
        """Let time pass as it does, a second after the other."""
        self.clock.pump([1.0] * int(seconds))

    def assertEnded(self) -> None:
        """Fail unless the tunnel has ended, once, and left nothing behind."""
        self.assertEqual((self.ended, self.client.is_lost, self.upstream.is_lost), (1, True, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RelayTests(TunnelTestCase):
    """What goes through."""

    def test_both_ways(self) -> None:
        """What either side says, the other one hears, and it is counted."""
        self.client.receive(b"\x16\x03\x01")
        self.upstream.receive(b"hello")
        self.client.receive(b"\x00")
        self.assertEqual((self.upstream.value(), self.client.value()), (b"\x16\x03\x01\x00", b"hello"))
        self.assertEqual((self.tunnel.client.received, self.tunnel.upstream.received), (4, 5))

    def test_sockets_are_tuned(self) -> None:
        """Small pieces are not held back, and the kernel looks after silent peers, on both sides."""
        for side in (self.client, self.upstream):
            self.assertEqual(side.options, {"nodelay": True, "keepalive": True})

    def test_slow_client_slows_the_host(self) -> None:
        """While the client's transport has enough to write, the host is not read from, and then it is again."""
        assert self.client.producer is not None
        self.assertTrue(self.client.streaming)
        self.client.producer.pauseProducing()
        self.assertEqual((self.upstream.is_paused, self.client.is_paused), (True, False))
        self.client.producer.resumeProducing()
        self.assertFalse(self.upstream.is_paused)

    def test_slow_host_slows_the_client(self) -> None:
        """The same holds the other way."""
        assert self.upstream.producer is not None
        self.upstream.producer.pauseProducing()
        self.assertEqual((self.client.is_paused, self.upstream.is_paused), (True, False))
        self.upstream.producer.resumeProducing()
        self.assertFalse(self.client.is_paused)

    def test_interfaces(self) -> None:
        """Transports are told the truth about what an end can do."""
        for interface in (IHalfCloseableProtocol, IPushProducer):
            self.assertTrue(verifyObject(interface, self.tunnel.client))


class EndTests(TunnelTestCase):
    """How tunnels end."""

    def test_client_has_said_all(self) -> None:
        """When the client has said all, the host is told so, and goes on."""
        self.client.peer_finishes()
        self.assertEqual((self.upstream.done, self.client.done), (["half-close"], []))
        self.upstream.receive(b"the answer")
        self.assertEqual((self.client.value(), self.ended), (b"the answer", 0))

    def test_host_has_said_all(self) -> None:
        """When the host has said all, the client is told so, and goes on."""
        self.upstream.peer_finishes()
        self.assertEqual((self.client.done, self.upstream.done), (["half-close"], []))
        self.client.receive(b"one more thing")
        self.assertEqual((self.upstream.value(), self.ended), (b"one more thing", 0))

    def test_both_have_said_all(self) -> None:
        """When both have said all, the tunnel ends, and nothing that is written is lost."""
        self.client.peer_finishes()
        self.upstream.peer_finishes()
        self.assertEqual((self.client.done, self.upstream.done), (["close"], ["half-close", "close"]))
        self.assertEnded()

    def test_both_have_said_all_the_host_first(self) -> None:
        """The order does not matter."""
        self.upstream.peer_finishes()
        self.client.peer_finishes()
        self.assertEqual((self.client.done, self.upstream.done), (["half-close", "close"], ["close"]))
        self.assertEnded()

    def test_neither_waits_for_the_other(self) -> None:
        """When both have said all, a peer that is slow to listen does not keep the other from hearing the end."""
        for slow in ("client", "upstream"):
            getattr(self, slow).is_stuck = True
            self.client.peer_finishes()
            self.upstream.peer_finishes()
            self.assertEqual((self.client.done[-1], self.upstream.done[-1]), ("close", "close"))
            self.assertNotEqual(self.client.is_lost, self.upstream.is_lost)
            self.join(wire, wire)

    def test_paused_when_all_is_said(self) -> None:
        """A host that had been paused does not keep the client from hearing of its end."""
        assert self.client.producer is not None
        self.client.producer.pauseProducing()
        self.upstream.peer_finishes()  # half-closing asserts that no producer is registered any more
        self.assertEqual(self.client.done, ["half-close"])

    def test_client_breaks(self) -> None:
        """A connection that broke breaks the other one: the host must not take half a request for a whole one."""
        self.client.peer_breaks()
        self.assertEqual(self.upstream.done, ["abort"])
        self.assertEnded()

    def test_host_breaks(self) -> None:
        """The same holds the other way: half an answer is not to look whole."""
        self.upstream.peer_breaks()
        self.assertEqual(self.client.done, ["abort"])
        self.assertEnded()

    def test_break_after_half_close(self) -> None:
        """A client that has gone for good, and not only said all, ends the other direction, too."""
        self.client.peer_finishes()
        self.client.peer_breaks()
        self.assertEqual(self.upstream.done, ["half-close", "abort"])
        self.assertEnded()

    def test_closed_cleanly(self) -> None:
        """A connection that somebody closed closes the other one, once all is written there."""
        self.upstream.is_stuck = True
        self.client.lose(ConnectionDone())
        self.assertEqual((self.upstream.done, self.ended), (["close"], 0))
        self.upstream.lose(ConnectionDone())
        self.assertEnded()

    def test_abort(self) -> None:
        """Both connections can be broken off at once."""
        self.tunnel.abort()
        self.assertEqual((self.client.done, self.upstream.done), (["abort"], ["abort"]))
        self.assertEnded()

    def test_abort_of_what_is_left(self) -> None:
        """A host that takes nothing, after the client has left, can be broken off."""
        self.upstream.is_stuck = True
        self.client.lose(ConnectionDone())
        self.tunnel.abort()
        self.assertEnded()

    def test_tls_cannot_half_close(self) -> None:
        """Where the client came by TLS, the host's end is the end: TLS would lose what it still gathers."""
        self.join(tls_wire, wire)
        self.upstream.peer_finishes()
        self.assertEqual(self.client.done, ["close"])
        self.assertEnded()


class PatienceTests(TunnelTestCase):
    """How long tunnels are borne with."""

    def test_nothing_moves(self) -> None:
        """When nothing has moved for the read timeout, both connections are closed."""
        self.pass_time(59)
        self.assertEqual(self.ended, 0)
        self.pass_time(6)
        self.assertEqual((self.client.done, self.upstream.done), (["close"], ["close"]))
        self.assertEnded()

    def test_either_direction_counts(self) -> None:
        """While one side speaks, the other may be silent for ever."""
        for side in (self.client, self.upstream):
            for _ in range(5):
                self.pass_time(50)
                side.receive(b"x")
        self.assertEqual(self.ended, 0)

    def test_half_closed_and_silent(self) -> None:
        """A tunnel in which one side has said all, and the other says nothing, ends, too."""
        self.client.peer_finishes()
        self.pass_time(65)
        self.assertEnded()

    def test_closing_takes_too_long(self) -> None:
        """A connection that cannot even be closed is broken off."""
        self.client.is_stuck = True
        self.pass_time(65)
        self.assertEqual((self.client.done, self.ended), (["close"], 0))
        self.pass_time(65)
        self.assertEqual(self.client.done[-1], "abort")
        self.assertEnded()

    def test_peer_takes_nothing(self) -> None:
        """A peer that takes nothing of what waits for it, for the send timeout, has both connections broken off."""
        for side in ("client", "upstream"):
            getattr(self, side).waiting = 1000
            self.pass_time(20)
            self.assertEqual(self.ended, 0)
            self.pass_time(11)
            self.assertEqual((self.client.done[-1], self.upstream.done[-1]), ("abort", "abort"))
            self.assertEnded()
            self.join(wire, wire)

    def test_peer_takes_nothing_while_it_speaks(self) -> None:
        """That the peer goes on speaking is no excuse."""
        self.client.waiting = 1000
        for _ in range(31):
            self.client.receive(b"x")
            self.pass_time(1)
        self.assertEnded()

    def test_slow_peer(self) -> None:
        """A peer that takes a byte now and then is slow, but honest; nothing need be read for as long as it likes."""
        self.client.waiting = 1000
        for _ in range(100):
            self.pass_time(10)
            self.client.waiting -= 1
        self.assertEqual(self.ended, 0)

    def test_where_the_kernel_does_not_tell(self) -> None:
        """Where nobody knows what waits, a paused producer tells that something does."""
        self.patch(tunnel, "unacknowledged", lambda _transport: None)
        self.pass_time(30)
        assert self.client.producer is not None
        self.client.producer.pauseProducing()
        self.pass_time(19)
        self.assertEqual(self.ended, 0)
        self.pass_time(12)
        self.assertEqual(self.client.done, ["abort"])
        self.assertEnded()


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["client", "upstream"]),
        st.sampled_from(
            ["says", "says", "says", "pauses", "resumes", "finishes", "breaks", "sticks", "waits"]
        ),
    ),
    max_size=30,
)


class AnyOrderTests(TunnelTestCase):
    """What holds whatever happens, in whatever order."""

    @given(EVENTS)
    def test_any_order(self, events: list[tuple[str, str]]) -> None:
        """Each side hears just what the other one said, in order; the tunnel ends once, and leaves nothing behind."""
        self.join(wire, wire)
        said = {self.client: b"", self.upstream: b""}
        for number, (name, event) in enumerate(events):
            side: Wire = getattr(self, name)
            if event == "waits":
                self.pass_time(1)
            elif not side.disconnecting:
                said[side] += self.happen(side, event, b"%d " % number)
        for side, other in ((self.client, self.upstream), (self.upstream, self.client)):
            self.assertTrue(said[side].startswith(other.value()))
            if not self.ended:
                self.assertEqual(said[side], other.value())
        self.pass_time(200)
        self.assertEnded()

    def happen(self, side: Wire, event: str, words: bytes) -> bytes:
        """Let something happen to a connection; return what its peer has said by it."""
        if event in {"pauses", "resumes"} and side.producer is not None:
            getattr(side.producer, f"{event.removesuffix('s')}Producing")()
        elif event == "breaks":
            side.peer_breaks()
        elif event == "sticks":
            side.is_stuck = True
        elif side.protocol.is_read_out or side.is_paused:
            pass
        elif event == "finishes":
            side.peer_finishes()
        elif event == "says":
            side.receive(words)
            return words
        return b""
