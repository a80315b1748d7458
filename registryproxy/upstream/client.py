"""Upstream: asks registries through treq, follows their redirects, and says in our words what went wrong."""

from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

from attrs import frozen
from OpenSSL import SSL
from service_identity import VerificationError
from treq.client import HTTPClient
from treq.cookies import IndexableCookieJar
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as WaitedTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from registryproxy import __version__
from registryproxy.errors import BadRedirect, UpstreamError, UpstreamSilent, UpstreamUnavailable
from registryproxy.interfaces import IUpstream
from registryproxy.policy import redirects
from registryproxy.upstream.agent import VerbatimURL
from registryproxy.upstream.answer import UpstreamAnswer
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields

_USER_AGENT = f"registryproxy/{__version__}"


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
        url = f"https://{registry.netloc}{target}"
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
        headers = Headers({"User-Agent": [_USER_AGENT]})
        for name in {line[0].lower() for line in fields}:
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
        asking.addTimeout(self._silence, self._clock)
        try:
            response = await asking
        except CancelledError:
            raise
        except Exception as e:
            raise _translated(e, _place(url, registry), self._silence) from e
        return UpstreamAnswer.of(response, method, registry.netloc, self._clock, self._silence)


def _place(url: str, registry: Authority) -> str:
    host = redirects.origin(url)[1]
    return registry.netloc if host == registry.host else f"{host}, where {registry.netloc} sent us,"


def _translated(e: Exception, place: str, silence: float) -> UpstreamError:
    """Say in our words why a registry did not answer; causes are looked for where Twisted wraps them."""
    causes = [failure.value for failure in e.reasons] if isinstance(e, ResponseFailed) else [e]
    for cause in causes:
        if isinstance(cause, WaitedTooLong):
            return UpstreamSilent(f"{place} did not answer within {silence:g} seconds")
        if isinstance(cause, (error.TimeoutError, error.TCPTimedOutError)):
            return UpstreamSilent(f"{place} did not take the connection in time")
        if isinstance(cause, error.DNSLookupError):
            return UpstreamUnavailable(f"{place} was not found: its name does not resolve")
        if isinstance(cause, error.ConnectionRefusedError):
            return UpstreamUnavailable(f"{place} refused the connection")
        if isinstance(cause, (SSL.Error, VerificationError)):
            return UpstreamUnavailable(f"{place} is not trusted: {_why_untrusted(cause)}")
    return UpstreamUnavailable(f"{place} broke off before it answered ({_named(causes)})")


def _why_untrusted(cause: Exception) -> str:
    if isinstance(cause, SSL.Error) and cause.args and cause.args[0]:
        return "; ".join(str(entry[-1]) for entry in cause.args[0])
    return "its certificate is for another name" if isinstance(cause, VerificationError) else "TLS failed"


def _named(causes: list[BaseException]) -> str:
    return ", ".join(type(cause).__name__ for cause in causes) or "for no given reason"
