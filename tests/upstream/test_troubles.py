"""Tests for L{registryproxy.upstream.client}: registries that do not answer, and the words for it."""

from typing import Any

from attrs import define, field
from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import (
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.iweb import IAgent
from zope.interface import implementer

from registryproxy.errors import UpstreamError, UpstreamSilent, UpstreamUnavailable
from registryproxy.upstream.pool import HeadTooLong
from registryproxy.upstream.trust import Untrusted
from registryproxy.wire.authority import Authority
from tests.support.outside import SILENCE, Outside
from tests.upstream.test_following import Maze

REGISTRY = Authority("registry.test", 5000)


@implementer(IAgent)
@define(eq=False)
class Trouble:
    """
    A way out on which something goes wrong.

    @ivar reason: what; None: nothing ever happens.
    @ivar cancelled_as: what is made of a question that is called off, as Twisted's agent wraps it.
    """

    reason: Exception | None = None
    is_sudden: bool = False
    cancelled_as: Exception | None = None
    asked: "list[Deferred[Any]]" = field(factory=list)

    def request(self, *_: object, **__: object) -> "Deferred[Any]":
        """Fail."""
        if self.is_sudden and self.reason is not None:
            raise self.reason
        if self.reason is not None:
            return fail(self.reason)
        asked: Deferred[Any] = Deferred(self._cancel)
        self.asked.append(asked)
        return asked

    def _cancel(self, asked: "Deferred[Any]") -> None:
        if self.cancelled_as is not None:
            asked.errback(self.cancelled_as)


def wrapped(kind: type[ResponseFailed | RequestTransmissionFailed], *causes: Exception) -> Exception:
    """Wrap causes as Twisted's client does."""
    made: Exception = kind([Failure(cause) for cause in causes])
    return made


class TroubleTests(SynchronousTestCase):
    """What is said."""

    def said(self, reason: Exception, kind: type[UpstreamError], *, is_sudden: bool = False) -> str:
        """Ask where that goes wrong, and return the sentence."""
        outside = Outside(agent=Trouble(reason, is_sudden))
        asking = outside.ask(target="/v2/?account=secret", registry=REGISTRY)
        failure = self.failureResultOf(asking, UpstreamError)
        self.assertIs(failure.type, kind)
        self.assertEqual(outside.clock.getDelayedCalls(), [])
        return str(failure.value)

    def assertSaid(self, reason: Exception, kind: type[UpstreamError], sentence: str) -> None:
        """Fail unless the sentence names the registry, what is wrong, and no query; however it is wrapped."""
        for each in (
            reason,
            wrapped(ResponseNeverReceived, reason),
            wrapped(ResponseFailed, error.ConnectionLost(), reason),
            wrapped(RequestTransmissionFailed, reason),
        ):
            said = self.said(each, kind)
            self.assertEqual(said, f"registry.test:5000 {sentence}")

    def test_table(self) -> None:
        """Each trouble has its sentence: who it is with, and what it is."""
        refused = error.ConnectionRefusedError()
        self.assertSaid(refused, UpstreamUnavailable, "refused the connection")
        lookup = error.DNSLookupError("no results for hostname lookup: secret")
        self.assertSaid(lookup, UpstreamUnavailable, "was not found: its name does not resolve")
        no_route = error.NoRouteError(113, "secret")
        self.assertSaid(no_route, UpstreamUnavailable, "cannot be reached: 113")
        for silent in (error.TimeoutError(), error.TCPTimedOutError()):
            self.assertSaid(silent, UpstreamSilent, "did not take the connection in time")
        untrusted = Untrusted("its certificate has expired")
        self.assertSaid(untrusted, UpstreamUnavailable, "is not trusted: its certificate has expired")
        too_long = HeadTooLong("a head of more than 128 KiB")
        self.assertSaid(too_long, UpstreamUnavailable, "sent a head of more than 128 KiB")

    def test_tls(self) -> None:
        """What OpenSSL says is passed on, if it says anything."""
        for raised, sentence in (
            (
                SSL.Error([("SSL routines", "", "wrong version number"), ("x", "y", "z")]),
                "wrong version number; z",
            ),
            (SSL.Error([]), "no reason is given"),
            (SSL.SysCallError(-1, "Unexpected EOF"), "no reason is given"),
            (SSL.Error(), "no reason is given"),
        ):
            self.assertSaid(raised, UpstreamUnavailable, f"cannot be spoken to in TLS: {sentence}")

    def test_anything_else(self) -> None:
        """Whatever else may come is a registry that broke off, and is named by its kind alone: it may hold secrets."""
        said = self.said(
            wrapped(ResponseFailed, ValueError("secret"), KeyError("secret")), UpstreamUnavailable
        )
        self.assertEqual(said, "registry.test:5000 broke off before it answered (ValueError, KeyError)")
        for reason in (
            error.ConnectionLost("secret"),
            error.ConnectionDone("secret"),
            ZeroDivisionError("secret"),
        ):
            self.assertNotIn("secret", self.said(reason, UpstreamUnavailable))
        said = self.said(wrapped(ResponseFailed), UpstreamUnavailable)
        self.assertIn("for no given reason", said)

    def test_sudden(self) -> None:
        """It makes no difference whether an agent fails or raises: nothing else than our errors gets out."""
        for reason in (ValueError("Invalid URI"), UnicodeError("label empty"), error.DNSLookupError()):
            self.said(reason, UpstreamUnavailable, is_sudden=True)

    def test_where_it_was_sent(self) -> None:
        """Trouble with a host that a registry sent us to names both."""
        maze = Maze()
        maze.ways["https://registry.test:5000/a"] = 307, "https://cdn.test/b?X-Amz-Signature=secret"
        outside = Outside(maze)
        assert outside.agent is not None
        real, cdn = outside.agent.request, fail(error.ConnectionRefusedError())

        def request(method: bytes, uri: bytes, *more: Any) -> Any:
            return cdn if b"cdn.test" in uri else real(method, uri, *more)

        self.patch(outside.agent, "request", request)
        said = str(self.failureResultOf(outside.ask(target="/a", registry=REGISTRY), UpstreamError).value)
        self.assertEqual(said, "cdn.test, where registry.test:5000 sent us, refused the connection")


class SilenceTests(SynchronousTestCase):
    """Registries that say nothing."""

    def test_given_up(self) -> None:
        """A registry that does not answer in time is given up then and not sooner, however Twisted takes that."""
        for cancelled_as in (
            None,
            wrapped(ResponseNeverReceived, CancelledError()),
            error.ConnectionAborted(),
        ):
            outside = Outside(agent=Trouble(cancelled_as=cancelled_as))
            asking = outside.ask(registry=REGISTRY)
            outside.clock.advance(SILENCE - 1)
            self.assertNoResult(asking)
            outside.clock.advance(1)
            failure = self.failureResultOf(asking, UpstreamSilent)
            self.assertEqual(str(failure.value), "registry.test:5000 did not answer within 60 seconds")
            self.assertEqual(outside.clock.getDelayedCalls(), [])

    def test_each_hop_has_its_time(self) -> None:
        """Whoever is sent on begins to wait anew."""
        clock = Clock()
        maze = Maze()
        maze.ways["https://one.test/a"] = 307, "https://cdn.test/b"
        outside = Outside(maze, clock=clock)
        assert outside.agent is not None
        real, waiting = outside.agent.request, Deferred[Any]()

        def request(method: bytes, uri: bytes, *more: Any) -> Any:
            clock.advance(SILENCE - 1)
            return waiting if b"cdn.test" in uri else real(method, uri, *more)

        self.patch(outside.agent, "request", request)
        asking = outside.ask(target="/a")
        clock.advance(SILENCE - 1)
        self.assertNoResult(asking)
        clock.advance(1)
        said = str(self.failureResultOf(asking, UpstreamSilent).value)
        self.assertEqual(said, "cdn.test, where one.test sent us, did not answer within 60 seconds")

    def test_called_off(self) -> None:
        """A question that its asker calls off is not the registry's fault, however Twisted takes that."""
        for cancelled_as in (None, wrapped(ResponseNeverReceived, CancelledError())):
            outside = Outside(agent=Trouble(cancelled_as=cancelled_as))
            asking = outside.ask(registry=REGISTRY)
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
            self.assertEqual(outside.clock.getDelayedCalls(), [])
