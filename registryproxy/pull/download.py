"""
Download: one upstream body, to disk once, to any number of readers.

The disk sets the pace of the upstream, which is paused while too much waits to be written.  No reader sets the
pace of another: each reads the growing file at its own offset.  The last byte is held back until the digest is
verified, so that content which does not fit never looks whole to anybody.
"""

import os
from typing import ClassVar, cast

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from registryproxy.errors import ContentMismatch, RegistryProxyError, StoreUnavailable, UpstreamUnavailable
from registryproxy.interfaces import IBlobSource, IBlobWriter, InThread
from registryproxy.oci.digest import Digest

HIGH_WATER = 4 * 1024 * 1024
"""Bytes waiting for the disk at which the upstream is paused."""


@define(eq=False)
class Download(Protocol):
    """
    Give me to C{IUpstreamAnswer.deliver}, and let L{keep} run until it returns.

    @ivar size: bytes in all, as the upstream has announced; None until the end where it has not.
    @ivar is_whole: everything is there, and the digest fits.
    """

    _log: ClassVar[Logger] = Logger()

    digest: Digest
    size: int | None
    _writer: IBlobWriter
    _in_thread: InThread
    is_whole: bool = field(default=False, init=False)
    _written: int = field(default=0, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _waiting: list[tuple[int, "Deferred[None]"]] = field(factory=list, init=False)

    _arrived: list[bytes] = field(factory=list, init=False)
    _arrived_bytes: int = field(default=0, init=False)
    _received: int = field(default=0, init=False)
    _is_paused: bool = field(default=False, init=False)
    _end: Failure | None = field(default=None, init=False)
    _more: "Deferred[None] | None" = field(default=None, init=False)

    # From the upstream.

    def dataReceived(self, data: bytes) -> None:
        """Take bytes in, and pause the upstream when the disk does not keep up."""
        self._arrived.append(data)
        self._arrived_bytes += len(data)
        self._received += len(data)
        if self._arrived_bytes > HIGH_WATER and not self._is_paused:
            self._is_paused = True
            self._upstream.pauseProducing()
        self._wake_keeper()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note how the body ended; only the digest can tell whether it was whole."""
        self._end = reason
        self._wake_keeper()

    def stop(self) -> None:
        """Ask the upstream for no more; what is whole will still be published."""
        if self._end is None:
            self._upstream.stopProducing()

    # To the disk.

    async def keep(self) -> None:
        """
        Write what arrives until it ends, verify it, let readers have the last byte, and publish.

        Readers are told of what goes wrong; nobody else needs to be.
        """
        try:
            while chunks := await self._next_chunks():
                await self._in_thread(self._writer.append, b"".join(chunks))
                self._written += sum(map(len, chunks))
                self._wake_readers()
            await self._in_thread(self._writer.verify)
            self.size = self._written
            self.is_whole = True
            self._wake_readers()
            await self._in_thread(self._writer.publish)
        except StoreUnavailable as e:
            self._log.warn("{reason}", reason=str(e))
            self._abandon()
        except RegistryProxyError as e:
            self._log.warn("{digest} was not kept: {reason}", digest=str(self.digest), reason=str(e))
            self._abandon()
        except Exception:  # noqa: BLE001  readers wait, and must be told whatever it was
            self._log.failure("a bug, while fetching {digest}", digest=str(self.digest))
            self._abandon()
        finally:
            # Not sooner: whoever joins while the content is being published still gets a descriptor of the writer's.
            self._writer.abandon()

    async def _next_chunks(self) -> list[bytes]:
        """Wait for bytes to write; none is the end."""
        while not self._arrived:
            if self._end is not None:
                self._judge_end(self._end)
                return []
            self._more = Deferred()
            await self._more
        chunks, self._arrived = self._arrived, []
        self._arrived_bytes = 0
        if self.size is not None and self._received > self.size:
            raise ContentMismatch(f"more than the announced {self.size} bytes came")
        if self._is_paused and self._end is None:
            self._is_paused = False
            self._upstream.resumeProducing()
        return chunks

    def _judge_end(self, end: Failure) -> None:
        if not end.check(ResponseDone, PotentialDataLoss):
            end.raiseException()
        if self.size is not None and self._received != self.size:
            raise UpstreamUnavailable(f"{self._received} of {self.size} bytes came, then the body ended")

    def _abandon(self) -> None:
        failure = Failure()
        if not failure.check(RegistryProxyError):
            failure = Failure(RegistryProxyError("internal error"))
        if not self.is_whole:  # a reader that has everything lacks nothing because the disk failed at the end
            self._failure = failure
        if self._end is None:
            self._upstream.stopProducing()
        self._writer.abandon()
        waiting, self._waiting = self._waiting, []
        for _, waiter in waiting:
            if not waiter.called:
                waiter.errback(failure)

    @property
    def _upstream(self) -> IPushProducer:
        return cast("IPushProducer", self.transport)

    def _wake_keeper(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)

    # To readers.

    def open_source(self) -> "DownloadReader":
        """
        Give one more reader its own view.

        @raise OSError: if no descriptor is left.
        """
        return DownloadReader(self, self._writer.open_reader())

    @property
    def has_failed(self) -> bool:
        """Whether the rest will never come."""
        return self._failure is not None

    def raise_failure(self) -> None:
        """
        Do nothing, unless the rest will never come.

        @raise RegistryProxyError: why it will not.
        """
        if self._failure is not None:
            self._failure.raiseException()

    @property
    def readable(self) -> int:
        """Bytes that readers may have now: all but the last, until it is known to be right."""
        if self.is_whole:
            return self._written
        return max(0, min(self._written, self.size - 1 if self.size is not None else self._written - 1))

    def when_beyond(self, offset: int) -> "Deferred[None]":
        """See L{IBlobSource.when_beyond}."""
        if self.is_whole or offset < self.readable:
            return succeed(None)
        if self._failure is not None:
            return fail(self._failure)
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiting.append((offset, waiter))
        return waiter

    def _forget(self, gone: "Deferred[None]") -> None:
        self._waiting = [each for each in self._waiting if each[1] is not gone]

    def _wake_readers(self) -> None:
        waiting, self._waiting = self._waiting, []
        readable = self.readable
        ready: list[tuple[int, Deferred[None]]] = []
        for each in waiting:
            (ready if self.is_whole or each[0] < readable else self._waiting).append(each)
        for _, waiter in ready:
            if not waiter.called:  # a reader that woke before may have sent this one away
                waiter.callback(None)


@implementer(IBlobSource)
@define(eq=False)
class DownloadReader:
    """One reader's view of a download; it outlives the download, for it has a descriptor of its own."""

    _download: Download
    _descriptor: int

    @property
    def digest(self) -> Digest:
        """See L{IBlobSource.digest}."""
        return self._download.digest

    @property
    def size(self) -> int | None:
        """See L{IBlobSource.size}."""
        return self._download.size

    @property
    def is_whole(self) -> bool:
        """See L{IBlobSource.is_whole}."""
        return self._download.is_whole

    def read(self, offset: int, count: int) -> bytes:
        """See L{IBlobSource.read}."""
        available = self._download.readable - offset
        if available <= 0:
            return b""
        data = os.pread(self._descriptor, min(count, available), offset)
        if not data and count:
            raise ContentMismatch(f"{self.digest} has become shorter on disk while it was read")
        return data

    def when_beyond(self, offset: int) -> "Deferred[None]":
        """See L{IBlobSource.when_beyond}."""
        return self._download.when_beyond(offset)

    def close(self) -> None:
        """See L{IBlobSource.close}."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
