"""Tests for L{registryproxy.front.request} and L{registryproxy.front.site}, by way of a channel."""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface import implementer

from registryproxy.front.limits import MAX_LINE_BYTES, Patience
from registryproxy.front.request import RegistryRequest
from registryproxy.front.site import RegistrySite
from registryproxy.wire.authority import Authority
from tests.support.caller import Caller, Hall, get


class AnsweringTests(SynchronousTestCase):
    """Requests and their answers."""

    def test_answers(self) -> None:
        """A request is answered by the resource, and the connection stays for the next."""
        caller = Caller()
        (answer,) = caller.ask(get("/v2/"))
        self.assertEqual((answer.status, answer.body), (200, b"hello\n"))
        self.assertFalse(caller.transport.disconnecting)

    def test_banner(self) -> None:
        """The answer bears our name, no version, and no type that nobody chose."""
        (answer,) = Caller().ask(get("/"))
        self.assertEqual(answer.fields["server"], "registryproxy")
        self.assertNotIn("content-type", answer.fields)

    def test_pipelined(self) -> None:
        """Requests that ride behind one another are answered in order, one at a time."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/1") + get("/2") + get("/3"))
        self.assertEqual(caller.hall.paths, [b"/1"])
        for expected in (b"/1", b"/2", b"/3"):
            request = caller.hall.asked[-1]
            self.assertEqual(request.uri, expected)
            request.write(request.uri)
            request.finish()
        self.assertEqual([answer.body for answer in caller.heard()], [b"/1", b"/2", b"/3"])

    def test_close_in_a_list(self) -> None:
        """C{close} closes wherever it stands among the options of the connection."""
        for option in ("close", "Close", "close, TE", "TE,close"):
            caller = Caller()
            (answer,) = caller.ask(get("/", f"Connection: {option}") + get("/2"))
            self.assertEqual(answer.fields["connection"], "close", option)
            self.assertTrue(caller.transport.disconnecting, option)

    def test_http_10(self) -> None:
        """HTTP/1.0 needs no Host, and is served one request a connection."""
        caller = Caller()
        (answer,) = caller.ask(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((answer.status, answer.body), (200, b"hello\n"))
        self.assertTrue(caller.transport.disconnecting)

    def test_keepalive_off(self) -> None:
        """Without patience between requests a connection serves one."""
        caller = Caller(patience=Patience(idle=0))
        (answer,) = caller.ask(get("/") + get("/2"))
        self.assertEqual(answer.fields["connection"], "close")
        self.assertTrue(caller.transport.disconnecting)

    def test_resource_fails(self) -> None:
        """A bug in a resource is logged, and told to the client without a traceback."""
        caller = Caller(Failing())
        (answer,) = caller.ask(get("/"))
        self.assertEqual((answer.status, answer.fields["content-type"]), (500, "text/plain; charset=utf-8"))
        self.assertNotIn(b"Traceback", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_resource_fails_in_the_midst(self) -> None:
        """When the answer had begun, the connection is aborted: nothing is appended that could look like its end."""
        caller = Caller(Failing(b"half of it"))
        caller.send(get("/"))
        self.assertTrue(caller.transport.disconnected)
        self.assertTrue(caller.transport.value().endswith(b"half of it\r\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_promise_not_kept(self) -> None:
        """An answer shorter or longer than its Content-Length is cut off, for the next would be taken for its rest."""
        for body in (b"", b"12", b"1234"):
            caller = Caller()
            caller.hall.answers_at_once = False
            caller.send(get("/"))
            (request,) = caller.hall.asked
            request.setHeader("content-length", "3")
            request.write(body)
            request.finish()
            self.assertTrue(caller.transport.disconnected, body)

    def test_head_keeps_its_promise(self) -> None:
        """The length told to a HEAD, and that of what is not modified, promises no body."""
        for method, code in (("HEAD", 200), ("GET", 304)):
            caller = Caller()
            caller.hall.answers_at_once = False
            caller.send(get("/", method=method))
            (request,) = caller.hall.asked
            request.setResponseCode(code)
            request.setHeader("content-length", "3")
            request.finish()
            self.assertFalse(caller.transport.disconnecting)
            self.assertEqual(caller.heard(method)[0].fields["content-length"], "3")


class Failing(Resource):
    """Fails, perhaps after it has begun."""

    isLeaf = True

    def __init__(self, begin: bytes = b"") -> None:
        """Write C{begin} first."""
        Resource.__init__(self)
        self._begin = begin

    def render(self, request: Request) -> bytes:
        """Fail."""
        if self._begin:
            request.write(self._begin)
        return b"%d" % (1 // 0)


class WhoIsAskingTests(SynchronousTestCase):
    """What a request knows of its connection."""

    def test_client_address(self) -> None:
        """A request knows its client's address."""
        caller = Caller()
        caller.send(get("/"))
        self.assertEqual(caller.hall.asked[0].client_address, "192.168.1.1")

    def test_identity(self) -> None:
        """Requests are told apart by short random names, and know when they came."""
        caller = Caller()
        caller.clock.advance(5)
        caller.send(get("/") + get("/"))
        first, second = caller.hall.asked
        self.assertRegex(first.request_id, r"\A[0-9a-f]{12}\Z")
        self.assertNotEqual(first.request_id, second.request_id)
        self.assertEqual(first.started_at, 5.0)

    def test_authority(self) -> None:
        """A connection that stands in for a registry tells each request so; a plain one stands in for nobody."""
        quay = Authority("quay.io", 443)
        for authority in (quay, None):
            caller = Caller(authority=authority)
            caller.send(get("/"))
            self.assertEqual(caller.hall.asked[0].authority, authority)

    def test_stand_in(self) -> None:
        """A factory for one registry makes channels of the same site, and offers HTTP/1.1 alone."""
        site = RegistrySite(Hall(), Clock())
        factory = site.standing_in_for(Authority("quay.io", 443))
        self.assertEqual(factory.buildProtocol(None).authority, Authority("quay.io", 443))
        self.assertEqual(site.buildProtocol(None).authority, None)
        self.assertEqual(
            (factory.acceptableProtocols(), site.acceptableProtocols()), ([b"http/1.1"], [b"http/1.1"])
        )

    def test_absolute_form(self) -> None:
        """A target in absolute form is a path to everybody, and what it named is told apart."""
        for target, path, named in (
            ("https://quay.io/v2/?n=1", b"/v2/?n=1", "quay.io"),
            ("http://h:3128", b"/", "h:3128"),
            ("HTTP://h?x", b"/?x", "h"),
            ("/v2/a", b"/v2/a", None),
            ("/http://x/", b"/http://x/", None),
        ):
            caller = Caller()
            caller.send(get(target))
            (request,) = caller.hall.asked
            self.assertEqual((request.uri, request.absolute_authority), (path, named))
            self.assertEqual(request.path, path.partition(b"?")[0])

    def test_other_targets(self) -> None:
        """What is neither path nor URL is refused, and the connection goes on."""
        for target in ("*", "quay.io:443", "v2/", "?x"):
            caller = Caller()
            self.assertEqual([each.status for each in caller.ask(get(target) + get("/"))], [400, 200], target)

    def test_site_costs_nothing_when_idle(self) -> None:
        """A site that was started calls nothing by and by."""
        clock = Clock()
        site = RegistrySite(Hall(), clock)
        site.doStart()
        self.assertEqual(clock.getDelayedCalls(), [])
        site.doStop()


class RecordTests(SynchronousTestCase):
    """The one record of each request."""

    def test_answered(self) -> None:
        """An answer that has ended is recorded, with its code and the bytes of its body, before the next is made."""
        caller = Caller()
        caller.send(get("/1") + get("/2"))
        self.assertEqual(
            [(each.uri, each.code, each.sentLength, each.is_complete) for each in caller.reports],
            [(b"/1", 200, 6, True), (b"/2", 200, 6, True)],
        )

    def test_left(self) -> None:
        """A client that leaves before the end is recorded as such, once."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/"))
        (request,) = caller.hall.asked
        request.write(b"abc")
        self.assertEqual(caller.reports, [])
        caller.leave()
        request.finish()
        self.assertEqual(
            [(each.code, each.sentLength, each.is_complete) for each in caller.reports], [(200, 3, False)]
        )

    def test_left_after_the_answer(self) -> None:
        """A client that leaves after its answer leaves no second record."""
        caller = Caller()
        caller.send(get("/"))
        caller.leave()
        self.assertEqual(len(caller.reports), 1)

    def test_aborted(self) -> None:
        """An answer that we abort is recorded as incomplete, even if somebody ends it afterwards."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/"))
        (request,) = caller.hall.asked
        request.write(b"abc")
        request.abort()
        request.finish()
        self.assertTrue(caller.transport.disconnected)
        self.assertFalse(caller.transport.value().endswith(b"0\r\n\r\n"))
        caller.leave()
        self.assertEqual([each.is_complete for each in caller.reports], [False])

    def test_left_before_asking(self) -> None:
        """A head that never ends is no request."""
        for sent in (b"", b"GET / HTTP/1.1\r\n", get("/", "Content-Length: 5")):
            caller = Caller()
            caller.send(sent)
            caller.leave()
            self.assertEqual(caller.reports, [], sent)

    def test_refused(self) -> None:
        """A refused head is recorded once, with as much as could be read of it."""
        caller = Caller()
        caller.send(b"GET /x HTTP/1.1\r\nbad\r\n\r\n")
        caller.leave()
        (request,) = caller.reports
        self.assertEqual((request.method, request.uri, request.code), (b"GET", b"/x", 400))

    def test_unreadable(self) -> None:
        """Of a first line that cannot be read nothing is told but that it was refused."""
        caller = Caller()
        caller.send(b"x" * (MAX_LINE_BYTES + 2))
        (request,) = caller.reports
        self.assertEqual((request.method, request.uri, request.code), (b"-", b"-", 431))


@implementer(IPushProducer)
class Noting:
    """A producer that notes what it is told."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.told.append("stop")


class ProducerTests(SynchronousTestCase):
    """Those who write long answers."""

    def answering(self) -> tuple[Caller, RegistryRequest]:
        """Have a request that waits for its answer."""
        caller = Caller()
        caller.hall.answers_at_once = False
        caller.send(get("/"))
        return caller, caller.hall.asked[0]

    def producing(self) -> tuple[Caller, RegistryRequest, Noting]:
        """Have a request that is being answered by a producer."""
        caller, request = self.answering()
        producer = Noting()
        request.registerProducer(producer, True)
        return caller, request, producer

    def test_client_sets_the_pace(self) -> None:
        """What the transport says reaches the producer."""
        caller, _, producer = self.producing()
        for order in (
            caller.channel.pauseProducing,
            caller.channel.resumeProducing,
            caller.channel.stopProducing,
        ):
            order()
        self.assertEqual(producer.told, ["pause", "resume", "stop"])

    def test_client_is_behind_already(self) -> None:
        """A producer that comes while the last answer is not taken yet is paused at once."""
        caller, request = self.answering()
        caller.channel.pauseProducing()
        producer = Noting()
        request.registerProducer(producer, True)
        self.assertEqual(producer.told, ["pause"])

    def test_client_is_gone_already(self) -> None:
        """A producer that comes too late is stopped, and can be forgotten."""
        caller, request = self.answering()
        caller.leave()
        producer = Noting()
        request.registerProducer(producer, True)
        request.unregisterProducer()
        self.assertEqual(producer.told, ["stop"])
        self.assertTrue(request.is_gone)

    def test_forgotten_after_the_client_has_left(self) -> None:
        """A producer may be forgotten after the client has left."""
        caller, request, _ = self.producing()
        caller.leave()
        request.unregisterProducer()

    def test_told_when_the_client_leaves(self) -> None:
        """Who waits for the end of an answer is told at once that the client has left."""
        caller, request = self.answering()
        finished: Deferred[None] = request.notifyFinish()
        caller.leave()
        self.failureResultOf(finished, ConnectionDone)
