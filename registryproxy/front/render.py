"""Where coroutines meet C{twisted.web}, and errors become answers."""

from typing import ClassVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from registryproxy.errors import (
    ClientError,
    MethodNotAllowed,
    RangeNotSatisfiable,
    RegistryProxyError,
)
from registryproxy.front.leaving import ClientGone
from registryproxy.front.request import RegistryRequest

API_VERSION = "registry/2.0"
"""What C{Docker-Distribution-Api-Version} says: old Docker clients look for it before they believe in a registry."""


class CoroutineResource(Resource):
    """A leaf whose answer is a coroutine; subclasses define C{answer}."""

    isLeaf = True
    _log: ClassVar[Logger] = Logger()

    async def answer(self, request: RegistryRequest) -> None:
        """
        Write the answer, all but C{finish()}.

        @raise RegistryProxyError: to be told to the client; once the body has begun, by aborting the connection.
        """
        raise NotImplementedError

    def render(self, request: Request) -> int:
        """Start answering, whatever the method; a client that leaves cancels it."""
        answering = Deferred.fromCoroutine(self._attend(cast("RegistryRequest", request)))
        if not answering.called:
            request.notifyFinish().addErrback(lambda _: answering.cancel())
        return NOT_DONE_YET

    async def _attend(self, request: RegistryRequest) -> None:
        try:
            await self.answer(request)
        except (
            CancelledError,
            ClientGone,
        ):  # first: they are errors of their own, and nobody is there to be told
            request.facts.result = "left"
        except RegistryProxyError as error:
            self._tell(request, error)
        except Exception:  # noqa: BLE001  the one place where a bug becomes an answer
            self._log.failure(
                "a bug, while answering {kind} request {id}", kind=request.facts.kind, id=request.request_id
            )
            self._tell(request, RegistryProxyError("internal error; the log of the proxy says more"))
        else:
            request.finish()

    def _tell(self, request: RegistryRequest, error: RegistryProxyError) -> None:
        request.facts.result = "refused" if isinstance(error, ClientError) else "failed"
        if request.startedWriting:
            # Never finish(): a body that was cut must not look whole.
            self._log.info("request {id} is cut off: {reason}", id=request.request_id, reason=str(error))
            request.abort()
            return
        tell(request, error)
        request.finish()


def tell(request: RegistryRequest, error: RegistryProxyError) -> None:
    """Write an error as the JSON that registry clients show to their users."""
    if isinstance(error, MethodNotAllowed):
        request.setHeader("Allow", "GET, HEAD")
    if isinstance(error, RangeNotSatisfiable):
        request.setHeader("Content-Range", f"bytes */{error.size}")
    write_whole(request, error.status, "application/json", error.as_oci())


def write_whole(request: RegistryRequest, status: int, content_type: str, body: bytes) -> None:
    """Write an answer whose body is at hand; a HEAD gets its length and no body."""
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Content-Length", str(len(body)))
    request.setHeader("Docker-Distribution-Api-Version", API_VERSION)
    if request.method != b"HEAD":
        request.write(body)
