"""Upstream: asks registries through treq, follows their redirects, and says in our words what went wrong."""

from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

from attrs import frozen
from OpenSSL import SSL
from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from treq.response import _Response
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import RequestGenerationFailed, RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from registryproxy import __version__
from registryproxy.errors import BadRedirect, UpstreamError, UpstreamSilent, UpstreamUnavailable
from registryproxy.interfaces import IUpstream
from registryproxy.policy import redirects
from registryproxy.upstream.agent import VerbatimURL
from registryproxy.upstream.answer import UpstreamAnswer
from registryproxy.upstream.pool import HeadTooLong
from registryproxy.upstream.trust import Untrusted
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields

_USER_AGENT = f"registryproxy/{__version__}"
_WRAPPERS = (ResponseFailed, RequestGenerationFailed, RequestTransmissionFailed)


@implementer(IUpstream)
@frozen(eq=False)
class Upstream:
    """
    The way out.

    @ivar silence: seconds without a byte after which a registry is given up, before the head of its answer and
        within its body.
    """

    _http: HTTPClient
    _clock: IReactorTime
    _silence: float

    @classmethod
    def over(cls, agent: IAgent, clock: IReactorTime, silence: float) -> "Upstream":
        """Ask through C{agent}; no cookie is ever kept, for it would go out with another client's request."""
        nothing = DefaultCookiePolicy(allowed_domains=[])
        return cls(HTTPClient(agent, IndexableCookieJar(policy=nothing)), clock, silence)

    async def ask(
        self, method: str, registry: Authority, target: str, fields: Fields, follow: bool = True
    ) -> UpstreamAnswer:
        """See L{IUpstream.ask}."""
        url = f"https://{registry.netloc}/{target.removeprefix('/')}"
        for _ in range(redirects.MAX_HOPS + 1):
            answer = await self._ask_once(method, url, fields, registry)
            if not follow or answer.status not in redirects.STATUSES or method not in {"GET", "HEAD"}:
                return answer
            answer.abandon()
            following = redirects.next_url(url, answer.fields.get("location"))
            fields = redirects.fields_for(url, following, fields)
            url = following
        raise BadRedirect(f"{registry.netloc} redirects more than {redirects.MAX_HOPS} times")

    async def _ask_once(self, method: str, url: str, fields: Fields, registry: Authority) -> UpstreamAnswer:
        place = _place(url, registry)
        try:
            response = await self._asking(method, url, fields, place)
        except (CancelledError, UpstreamError):
            raise
        except Exception as e:
            causes = [failure.value for failure in e.reasons] if isinstance(e, _WRAPPERS) else [e]
            if any(isinstance(cause, CancelledError) for cause in causes):
                raise CancelledError from e
            raise _translated(causes, place) from e
        return UpstreamAnswer.of(response, method, registry.netloc, self._clock, self._silence)

    def _asking(self, method: str, url: str, fields: Fields, place: str) -> "Deferred[_Response]":
        headers = Headers({"User-Agent": [_USER_AGENT]})
        for name in dict.fromkeys(line[0].lower() for line in fields):
            headers.setRawHeaders(
                name.encode("latin-1"), [value.encode("latin-1") for value in fields.all(name)]
            )
        asking = self._http.request(
            method,
            VerbatimURL.of(url),
            headers=headers,
            allow_redirects=False,
            unbuffered=True,
            reactor=cast("Any", self._clock),
        )
        # Said outright: to Twisted, a request that is cancelled while it waits is one whose connection broke.
        silent = UpstreamSilent(f"{place} did not answer within {self._silence:g} seconds")
        return asking.addTimeout(self._silence, self._clock, lambda _result, _seconds: Failure(silent))


def _place(url: str, registry: Authority) -> str:
    host = redirects.origin(url)[1]
    return registry.netloc if host == registry.host else f"{host}, where {registry.netloc} sent us,"


def _translated(causes: list[BaseException], place: str) -> UpstreamError:
    """Say in our words why a registry did not answer."""
    for cause in causes:
        if isinstance(cause, (error.TimeoutError, error.TCPTimedOutError)):
            return UpstreamSilent(f"{place} did not take the connection in time")
        if isinstance(cause, error.DNSLookupError):
            return UpstreamUnavailable(f"{place} was not found: its name does not resolve")
        if isinstance(cause, error.ConnectionRefusedError):
            return UpstreamUnavailable(f"{place} refused the connection")
        if isinstance(cause, error.ConnectError):
            return UpstreamUnavailable(f"{place} cannot be reached: {cause.osError or type(cause).__name__}")
        if isinstance(cause, Untrusted):
            return UpstreamUnavailable(f"{place} is not trusted: {cause}")
        if isinstance(cause, SSL.Error):
            return UpstreamUnavailable(f"{place} cannot be spoken to in TLS: {_said_by(cause)}")
        if isinstance(cause, HeadTooLong):
            return UpstreamUnavailable(f"{place} sent {cause}")
    names = ", ".join(type(cause).__name__ for cause in causes) or "for no given reason"
    return UpstreamUnavailable(f"{place} broke off before it answered ({names})")


def _said_by(cause: SSL.Error) -> str:
    entries = cause.args[0] if cause.args and isinstance(cause.args[0], list) else []
    return "; ".join(str(entry[-1]) for entry in entries) or "no reason is given"
