"""From the first connection to the last: sockets are opened and closed here, and all else in its order."""

from collections.abc import Sequence
from typing import Any, ClassVar

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from registryproxy import __version__
from registryproxy.door.factory import ConnectFactory
from registryproxy.front.site import RegistrySite
from registryproxy.interfaces import IIndex
from registryproxy.pull.through import PullThrough

STOP_GRACE = 8.0
"""Seconds for which answers in progress may go on once we are told to stop: C{docker stop} kills after ten."""

# getaddrinfo blocks a thread for as long as a dead name server lets it, and Twisted's ten are soon all waiting.
_RESOLVER_THREADS = 32


@define(eq=False)
class Sockets:
    """
    The sockets that clients connect to.

    @ivar endpoints: Twisted server endpoint strings.
    """

    _reactor: Any
    endpoints: tuple[str, ...]
    _open: list[IListeningPort] = field(factory=list, init=False)

    @property
    def ports(self) -> set[int]:
        """The port numbers that are listened on."""
        hosts: list[Any] = [port.getHost() for port in self._open]
        return {host.port for host in hosts if hasattr(host, "port")}

    def open(self, factory: IProtocolFactory) -> None:
        """
        Listen, unless that was done.

        @raise SystemExit: if an address cannot be had, for a proxy that lives on deaf helps nobody.
        """
        if self._open:
            return
        for text in self.endpoints:
            failures: list[Failure] = []
            opening = serverFromString(self._reactor, text).listen(factory)
            opening.addCallbacks(self._open.append, failures.append)
            for failure in failures:  # endpoints of the usual kinds fail at once
                cause: Any = failure.value
                reason = getattr(getattr(cause, "socketError", None), "strerror", None) or str(cause)
                raise SystemExit(f"registryproxy: LISTEN: cannot listen on {text}: {reason}")

    async def close(self) -> None:
        """Take no more connections."""
        ports, self._open = self._open, []
        await DeferredList([Deferred.fromCoroutine(_closed(port)) for port in ports])


async def _closed(port: IListeningPort) -> None:
    closing = port.stopListening()
    if closing is not None:
        await closing


class ProxyService(Service):
    """Everything that lives; C{MultiService} would stop all of it at once, and the order matters."""

    _log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        reactor: Any,
        sockets: Sockets,
        door: ConnectFactory,
        sites: Sequence[RegistrySite],
        pull: PullThrough,
        index: IIndex,
        disk: ThreadPool,
    ) -> None:
        """Take everything, and start nothing."""
        self._reactor = reactor
        self._sockets = sockets
        self._door = door
        self._sites = sites
        self._pull = pull
        self._index = index
        self._disk = disk

    def privilegedStartService(self) -> None:
        """Listen while low ports may still be had."""
        Service.privilegedStartService(self)
        self._sockets.open(self._door)

    def startService(self) -> None:
        """Listen, if that was not done, and say so."""
        Service.startService(self)
        self._reactor.suggestThreadPoolSize(_RESOLVER_THREADS)
        self._disk.start()
        self._sockets.open(self._door)
        self._log.info(
            "registryproxy {version} listens on {endpoints}",
            version=__version__,
            endpoints=" ".join(self._sockets.endpoints),
        )

    def stopService(self) -> "Deferred[None]":
        """Close the door, let answers end for a while, keep what is whole, and only then close the store."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._sockets.close()
        for site in self._sites:
            site.wind_down()
        await self._door.close_all(STOP_GRACE)
        await self._pull.stop()
        self._index.close()
        self._disk.stop()
