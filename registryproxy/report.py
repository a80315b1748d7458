"""What the log is told: one record a request, from whichever part of the front it was that answered it."""

from http import HTTPStatus
from typing import ClassVar

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from registryproxy.door.ways import ConnectReport
from registryproxy.front.request import RegistryRequest
from registryproxy.policy.record import RequestRecord


@frozen(eq=False)
class Reporter:
    """Turns what the front has seen into records, and logs them."""

    _log: ClassVar[Logger] = Logger()
    _clock: IReactorTime

    def request(self, request: RegistryRequest) -> None:
        """Log a request whose answer has ended, or whose client has left."""
        facts = request.facts
        now = self._clock.seconds()
        self._write(
            RequestRecord(
                time=request.started_at,
                client=request.client_address,
                method=request.method.decode("latin-1"),
                registry="" if facts.registry is None else str(facts.registry),
                repository=facts.repository,
                reference=facts.reference,
                digest=facts.digest,
                kind=facts.kind,
                result=facts.result or _result_of(request),
                status=request.code if request.startedWriting or request.is_complete else 0,
                bytes=request.sentLength,
                milliseconds=(now - request.started_at) * 1000,
                upstream_milliseconds=facts.upstream_seconds * 1000,
                request_id=request.request_id,
            )
        )

    def connect(self, report: ConnectReport) -> None:
        """Log a tunnel that has ended, or a CONNECT that came to none."""
        self._write(
            RequestRecord(
                time=self._clock.seconds() - report.seconds,
                client=report.client,
                method="CONNECT",
                registry="" if report.authority is None else str(report.authority),
                kind="tunnel" if report.result == "tunnelled" else "connect",
                result=report.result,
                status=report.status,
                bytes=report.bytes_down,
                milliseconds=report.seconds * 1000,
            )
        )
        if report.reason:
            self._log.info(
                "CONNECT to {where}: {reason}", where=str(report.authority or "?"), reason=report.reason
            )

    def _write(self, record: RequestRecord) -> None:
        self._log.info("{record}", record=record)


def _result_of(request: RegistryRequest) -> str:
    """Say how a request was answered that was for no registry."""
    if not request.is_complete:
        return "left"
    return "served" if request.code < HTTPStatus.BAD_REQUEST else "refused"
