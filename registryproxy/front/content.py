"""Answers to requests for content: headers exact, bodies streamed."""

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from registryproxy.front.render import API_VERSION
from registryproxy.front.request import RegistryRequest
from registryproxy.front.streaming import relay_body, send_blob
from registryproxy.interfaces import Errand, Given, Relayed
from registryproxy.policy.cache_status import cache_status
from registryproxy.policy.outcome import CacheType, Outcome
from registryproxy.wire.headers import back
from registryproxy.wire.ranges import Span, etag_of, wanted

_STATUS_HEADER = "X-Docker-Registry-Proxy-Cache-Upstream-Status"
_TYPE_HEADER = "X-Docker-Registry-Proxy-Cache-Type"
_PARTIAL = 206
_BODILESS = frozenset({204, 304})


@frozen
class ContentWriter:
    """
    Writes what the pull has come back with.

    @ivar send_timeout: seconds for which a client may take no byte before it is given up.
    """

    _clock: IReactorTime
    _send_timeout: float

    async def write(self, request: RegistryRequest, errand: Errand, answer: Given | Relayed) -> None:
        """
        Write an answer, but for C{finish()}.

        @raise RangeNotSatisfiable: if the client's range lies past the end.
        @raise UpstreamError: if the body breaks off.
        """
        if isinstance(answer, Given):
            await self._give(request, errand, answer)
        else:
            await self._relay(request, answer)

    async def _give(self, request: RegistryRequest, errand: Errand, given: Given) -> None:
        source = given.source
        try:
            request.facts.digest = str(given.digest)
            request.facts.result = given.outcome.value.lower()
            etag = etag_of(given.digest)
            _write_cache_fields(request, given.outcome, given.cache_type)
            if source is None:
                _write_content_fields(request, given, etag)
                _write_length(request, given.size)
                return
            span = wanted(errand.fields, given.size, etag) if given.size is not None else None
            _write_content_fields(request, given, etag)
            if request.setETag(etag.encode()):
                return  # If-None-Match has it: twisted.web answers 304
            if span is not None and given.size is not None:
                request.setResponseCode(_PARTIAL)
                request.setHeader("Content-Range", span.content_range(given.size))
                _write_length(request, len(span))
            else:
                span = Span(0, given.size) if given.size is not None else None
                _write_length(request, given.size)
            await send_blob(source, request, span, self._clock, self._send_timeout)
        finally:
            if source is not None:
                source.close()

    async def _relay(self, request: RegistryRequest, relayed: Relayed) -> None:
        answer = relayed.answer
        request.facts.result = "passed"
        request.setResponseCode(answer.status)
        fields = back(answer.fields)
        for name in dict.fromkeys(line[0] for line in fields):
            # Set, not added: its Date and Server stand for ours.
            request.responseHeaders.setRawHeaders(name, fields.all(name))
        _write_cache_fields(request, Outcome.MISS if relayed.cache_type else None, relayed.cache_type)
        if request.method == b"HEAD" or answer.status in _BODILESS:
            answer.abandon()
            _write_length(request, answer.length if request.method == b"HEAD" else None)
            return
        _write_length(request, answer.length)
        await relay_body(answer, request, self._clock, self._send_timeout)


def _write_content_fields(request: RegistryRequest, given: Given, etag: str) -> None:
    request.setHeader("Content-Type", given.media_type)
    request.setHeader("Docker-Content-Digest", str(given.digest))
    request.setHeader("Docker-Distribution-Api-Version", API_VERSION)
    request.setHeader("ETag", etag)
    request.setHeader("Accept-Ranges", "bytes")


def _write_cache_fields(
    request: RegistryRequest, outcome: Outcome | None, cache_type: CacheType | None
) -> None:
    if outcome is not None:
        request.setHeader(_STATUS_HEADER, outcome.value)
    if cache_type is not None:
        request.setHeader(_TYPE_HEADER, cache_type.value)
    # What was passed on was neither looked up nor kept.
    request.setHeader("Cache-Status", cache_status(outcome if request.facts.result != "passed" else None))


def _write_length(request: RegistryRequest, length: int | None) -> None:
    if length is not None:
        request.setHeader("Content-Length", str(length))
