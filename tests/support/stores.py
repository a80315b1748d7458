"""What every blob store does; to be mixed into a C{SynchronousTestCase}."""

from zope.interface.verify import verifyObject

from registryproxy.errors import ContentMismatch, StoreUnavailable
from registryproxy.interfaces import IBlobSource, IBlobStore, IBlobWriter
from registryproxy.oci.digest import Digest

CONTENT = b"0123456789"
DIGEST = Digest.of(CONTENT)


def keep(store: IBlobStore, content: bytes, algorithm: str = "sha256") -> Digest:
    """Write content into a store, as whoever fetches it does."""
    digest = Digest.of(content, algorithm)
    writer = store.begin(digest)
    writer.append(content)
    writer.verify()
    writer.publish()
    writer.abandon()
    return digest


def kept(store: IBlobStore, digest: Digest) -> bytes | None:
    """Read what a store finds."""
    source = store.find(digest)
    if source is None:
        return None
    pieces: list[bytes] = []
    while piece := source.read(sum(map(len, pieces)), 1 << 20):
        pieces.append(piece)
    source.close()
    return b"".join(pieces)


class BlobStoreContract:
    """The promises of L{IBlobStore} and L{IBlobWriter}; whoever implements them runs these."""

    def make_store(self) -> IBlobStore:
        """Make an empty store; subclasses define it."""
        raise NotImplementedError

    def test_provides_the_interfaces(self) -> None:
        """Store, writer and source have every attribute and method that their users count on."""
        store = self.make_store()
        assert verifyObject(IBlobStore, store)
        writer = store.begin(DIGEST)
        assert verifyObject(IBlobWriter, writer)
        writer.abandon()
        source = store.find(keep(store, CONTENT))
        assert verifyObject(IBlobSource, source)
        assert source is not None
        source.close()

    def test_empty(self) -> None:
        """What was never kept is not found."""
        store = self.make_store()
        assert store.find(DIGEST) is None
        assert store.size(DIGEST) is None

    def test_round_trip(self) -> None:
        """What was published is found, by either algorithm, and be it empty."""
        store = self.make_store()
        for content in (CONTENT, b"", bytes(2**20)):
            for algorithm in ("sha256", "sha512"):
                digest = keep(store, content, algorithm)
                assert kept(store, digest) == content
                assert store.size(digest) == len(content)
                source = store.find(digest)
                assert source is not None
                assert (source.digest, source.size, source.is_whole) == (digest, len(content), True)
                source.close()

    def test_piece_by_piece(self) -> None:
        """A writer counts what it is given, in whatever pieces."""
        store = self.make_store()
        writer = store.begin(DIGEST)
        counted = []
        for piece in (b"0123", b"", b"45678", b"9"):
            writer.append(piece)
            counted.append(writer.received)
        writer.verify()
        writer.publish()
        assert counted == [4, 4, 9, 10]
        assert kept(store, DIGEST) == CONTENT

    def test_invisible_until_published(self) -> None:
        """Nothing is found under the digest before all is appended, verified and published."""
        store = self.make_store()
        writer = store.begin(DIGEST)
        for step in (lambda: writer.append(CONTENT), writer.verify):
            step()
            assert store.find(DIGEST) is None
            assert store.size(DIGEST) is None
        writer.publish()
        assert kept(store, DIGEST) == CONTENT

    def test_one_writer_at_a_time(self) -> None:
        """While one writes, another is refused; once the first is done or gone, the next may begin."""
        store = self.make_store()
        first = store.begin(DIGEST)
        try:
            store.begin(DIGEST)
        except StoreUnavailable as e:
            assert str(DIGEST) in str(e)
        else:
            raise AssertionError("there are two writers of the same content")
        store.begin(Digest.of(b"other")).abandon()
        first.abandon()
        store.begin(DIGEST).abandon()

    def test_abandoned(self) -> None:
        """What is abandoned, once or twice, was never there, and its next writer begins anew."""
        store = self.make_store()
        first = store.begin(DIGEST)
        first.append(b"rubbish")
        first.abandon()
        first.abandon()
        second = store.begin(DIGEST)
        assert second.received == 0
        first.abandon()
        second.append(CONTENT)
        second.verify()
        second.publish()
        assert kept(store, DIGEST) == CONTENT

    def test_abandon_after_publish(self) -> None:
        """What is published stays, though its writer be abandoned."""
        store = self.make_store()
        writer = store.begin(DIGEST)
        writer.append(CONTENT)
        writer.verify()
        writer.publish()
        writer.abandon()
        writer.abandon()
        assert kept(store, DIGEST) == CONTENT

    def test_mismatch(self) -> None:
        """Content that is not what its digest promises is not verified, and both digests are named."""
        store = self.make_store()
        for content in (CONTENT[:-1], CONTENT + b"x", b"9876543210", b""):
            writer = store.begin(DIGEST)
            writer.append(content)
            try:
                writer.verify()
            except ContentMismatch as e:
                assert str(DIGEST) in str(e)
                assert str(Digest.of(content)) in str(e)
            else:
                raise AssertionError(f"{content!r} passed for {CONTENT!r}")
            writer.abandon()
            assert store.find(DIGEST) is None
