"""MemoryBlobSource: content in memory that grows, ends, fails or shrinks as a test wants."""

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer
from zope.interface.verify import verifyObject

from registryproxy.interfaces import IBlobSource
from registryproxy.oci.digest import Digest


@implementer(IBlobSource)
@define(eq=False)
class MemoryBlobSource:
    """
    A blob source without a disk.

    @ivar content: the bytes that can be read so far.
    @ivar size: of the whole; None while nobody is to know.
    @ivar is_closed: whether it was let go of.
    @ivar reads: the offset and count of each read.
    """

    digest: Digest
    content: bytearray
    size: int | None = None
    is_whole: bool = False
    is_closed: bool = field(default=False, init=False)
    reads: list[tuple[int, int]] = field(factory=list, init=False)
    _failure: Exception | None = field(default=None, init=False)
    _waiting: "dict[Deferred[None], int]" = field(factory=dict, init=False)

    @classmethod
    def whole(cls, content: bytes) -> "MemoryBlobSource":
        """Make a source of content that is all there."""
        return cls(Digest.of(content), bytearray(content), len(content), is_whole=True)

    @classmethod
    def growing(cls, content: bytes, size: int | None = None) -> "MemoryBlobSource":
        """Make a source of content of which nothing is there yet."""
        return cls(Digest.of(content), bytearray(), size)

    @property
    def waiting(self) -> int:
        """Count those who wait for more."""
        return len(self._waiting)

    # IBlobSource

    def read(self, offset: int, count: int) -> bytes:
        """See L{IBlobSource.read}."""
        assert not self.is_closed, "read after close"
        self.reads.append((offset, count))
        return bytes(self.content[offset : offset + count])

    def when_beyond(self, offset: int) -> "Deferred[None]":
        """See L{IBlobSource.when_beyond}."""
        waiter: Deferred[None] = Deferred(self._forget)
        self._waiting[waiter] = offset
        self._wake()
        return waiter

    def close(self) -> None:
        """See L{IBlobSource.close}."""
        self.is_closed = True

    # What tests do to it

    def grow(self, more: bytes) -> None:
        """Let more bytes be read."""
        self.content += more
        self._wake()

    def end(self) -> None:
        """Let what is there be all."""
        self.size, self.is_whole = len(self.content), True
        self._wake()

    def fail(self, error: Exception) -> None:
        """Let the rest never come."""
        self._failure = error
        self._wake()

    def shrink(self, size: int) -> None:
        """Cut the content short behind everybody's back, as rot does."""
        del self.content[size:]

    def _forget(self, waiter: "Deferred[None]") -> None:
        del self._waiting[waiter]

    def _wake(self) -> None:
        for waiter, offset in list(self._waiting.items()):
            if offset < len(self.content) or self.is_whole:
                del self._waiting[waiter]
                waiter.callback(None)
            elif self._failure is not None:
                del self._waiting[waiter]
                waiter.errback(self._failure)


class BlobSourceContract:
    """
    What every whole source does; to be mixed into a C{SynchronousTestCase}.

    Whoever implements L{IBlobSource} runs these, so that the fake cannot drift from the real one.
    """

    def make_source(self, content: bytes) -> IBlobSource:
        """Make a source whose content is all there; subclasses define it."""
        raise NotImplementedError

    def test_provides_the_interface(self) -> None:
        """It has every attribute and method that readers count on."""
        assert verifyObject(IBlobSource, self.make_source(b"content"))

    def test_tells_what_it_is(self) -> None:
        """Digest, size and wholeness are those of the content."""
        source = self.make_source(b"content")
        assert (source.digest, source.size, source.is_whole) == (Digest.of(b"content"), 7, True)

    def test_reads_anywhere(self) -> None:
        """Any part can be read, in any order; at the end and beyond there is nothing."""
        source = self.make_source(b"content")
        read = [source.read(*at) for at in ((3, 2), (0, 3), (5, 99), (7, 1), (99, 1))]
        assert read == [b"te", b"con", b"nt", b"", b""], read

    def test_keeps_nobody_waiting(self) -> None:
        """Where all is there nobody waits, at whatever offset."""
        source = self.make_source(b"content")
        assert all(source.when_beyond(offset).called for offset in (0, 6, 7, 99))

    def test_closes_twice(self) -> None:
        """Closing twice is closing once."""
        source = self.make_source(b"content")
        source.close()
        source.close()
