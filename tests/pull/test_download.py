"""Tests for L{registryproxy.pull.download}: one upstream body, to disk once, to any number of readers."""

from pathlib import Path
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis.strategies import DataObject, binary, booleans, data, lists
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer
from zope.interface.verify import verifyObject

from registryproxy.errors import (
    ContentMismatch,
    RegistryProxyError,
    StoreUnavailable,
    UpstreamSilent,
    UpstreamUnavailable,
)
from registryproxy.interfaces import IBlobSource
from registryproxy.oci.digest import Digest
from registryproxy.pull.download import HIGH_WATER, Download
from registryproxy.store.blobs import BlobStore
from tests.support.stores import kept
from tests.support.threads import Threads

CONTENT = b"0123456789"
DONE = Failure(ResponseDone())
THE_END = 1 << 40
FULL = StoreUnavailable("the disk is full")


@implementer(IPushProducer)
@define(eq=False)
class Tap:
    """
    The upstream, as a download sees it.

    @ivar calls: what it was asked for.
    """

    calls: list[str] = field(factory=list)

    def pauseProducing(self) -> None:
        """Note it."""
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.calls.append("stop")


@define(eq=False)
class Downloading:
    """A download, and all that it touches."""

    root: Path
    content: bytes = CONTENT
    size: int | None = len(CONTENT)
    tap: Tap = field(factory=Tap)
    threads: Threads = field(factory=Threads)
    store: BlobStore = field(init=False)
    download: Download = field(init=False)
    kept: "Deferred[None]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin."""
        self.store = BlobStore.on(self.root)
        digest = Digest.of(self.content)
        self.download = Download(digest, self.size, self.store.begin(digest), self.threads)
        self.kept = Deferred.fromCoroutine(self.download.keep())
        self.download.makeConnection(self.tap)

    def arrive(self, content: bytes) -> None:
        """Let bytes arrive."""
        self.download.dataReceived(content)

    def end(self, reason: Failure = DONE) -> None:
        """Let the body end."""
        self.download.connectionLost(reason)

    @property
    def found(self) -> bytes | None:
        """What the store finds."""
        return kept(self.store, self.download.digest)

    @property
    def parts(self) -> list[Path]:
        """What lies in the folder of what is not whole."""
        return list((self.root / "incoming").iterdir())


class DownloadTestCase(SynchronousTestCase):
    """Makes downloads and readers."""

    def begin(self, content: bytes = CONTENT, size: int | None = len(CONTENT)) -> Downloading:
        """Begin a download."""
        return Downloading(Path(self.mktemp()), content, size)

    def reader(self, downloading: Downloading) -> IBlobSource:
        """Open one more reader."""
        source = downloading.download.open_source()
        self.addCleanup(source.close)
        return source

    def assertOver(self, downloading: Downloading) -> None:
        """Fail unless it has ended in good order, and nothing is left open or lies about."""
        self.assertIsNone(self.successResultOf(downloading.kept))
        self.assertEqual((downloading.parts, downloading.threads.waiting), ([], []))
        self.assertRaises(OSError, downloading.download.open_source)
        downloading.store.begin(downloading.download.digest).abandon()

    def warned(self) -> None:
        """Fail if a bug was logged."""
        self.assertEqual(self.flushLoggedErrors(), [])


class KeepTests(DownloadTestCase):
    """What goes well."""

    def test_provides_the_interface(self) -> None:
        """A reader has every attribute and method that its users count on."""
        self.assertTrue(verifyObject(IBlobSource, self.reader(self.begin())))

    def test_step_by_step(self) -> None:
        """Bytes are readable once they are written, the last one once all are verified, and then it is published."""
        downloading = self.begin()
        reader = self.reader(downloading)
        self.assertEqual((reader.read(0, 100), reader.size, reader.is_whole), (b"", 10, False))
        downloading.arrive(b"0123")
        self.assertEqual(reader.read(0, 100), b"")
        downloading.threads.step()
        self.assertEqual(reader.read(0, 100), b"0123")
        downloading.arrive(b"456789")
        downloading.end()
        downloading.threads.step()
        self.assertEqual((reader.read(0, 100), downloading.threads.next), (b"012345678", "verify"))
        downloading.threads.step()
        self.assertEqual((reader.read(0, 100), reader.is_whole, downloading.found), (CONTENT, True, None))
        self.assertEqual(downloading.threads.run(), ["publish"])
        self.assertEqual(downloading.found, CONTENT)
        self.assertOver(downloading)
        self.assertEqual(downloading.tap.calls, [])

    def test_gathers_while_the_disk_is_busy(self) -> None:
        """What arrives while the disk is at work is written at once afterwards."""
        downloading = self.begin()
        for byte in CONTENT:
            downloading.arrive(bytes([byte]))
        downloading.end()
        self.assertEqual(downloading.threads.run(), ["append", "append", "verify", "publish"])
        self.assertEqual(downloading.found, CONTENT)

    def test_empty(self) -> None:
        """Content of no bytes is whole only once it is known to be right."""
        for size in (0, None):
            downloading = self.begin(b"", size)
            waiting = self.reader(downloading).when_beyond(0)
            self.assertNoResult(waiting)
            downloading.end()
            self.assertNoResult(waiting)
            downloading.threads.run()
            self.successResultOf(waiting)
            self.assertEqual(downloading.found, b"")

    def test_length_not_announced(self) -> None:
        """Where nobody knows the length, the last byte of those that came is held back, whichever it is."""
        downloading = self.begin(size=None)
        reader = self.reader(downloading)
        for count in (1, 4, 10):
            downloading.arrive(CONTENT[len(reader.read(0, 99)) + (count > 1) : count])
            downloading.threads.step()
            self.assertEqual((reader.read(0, 99), reader.size), (CONTENT[: count - 1], None))
        downloading.end(Failure(PotentialDataLoss()))
        downloading.threads.run()
        self.assertEqual((reader.read(0, 99), reader.size), (CONTENT, 10))
        self.assertEqual(downloading.found, CONTENT)


class BackPressureTests(DownloadTestCase):
    """The disk sets the pace."""

    def setUp(self) -> None:
        """Let the disk be busy."""
        self.downloading = self.begin(b"", None)
        self.downloading.arrive(b"x")
        self.calls = self.downloading.tap.calls

    def test_at_the_mark(self) -> None:
        """As much as the mark may wait for the disk; with a byte more the upstream is paused, once."""
        self.downloading.arrive(bytes(HIGH_WATER))
        self.assertEqual(self.calls, [])
        for _ in range(3):
            self.downloading.arrive(b"x")
        self.assertEqual(self.calls, ["pause"])

    def test_goes_on(self) -> None:
        """Once the disk has taken what waited, the upstream goes on; over and over."""
        for _ in range(3):
            self.downloading.arrive(bytes(HIGH_WATER + 1))
            self.assertEqual(self.calls.pop(), "pause")
            self.downloading.threads.step()
            self.assertEqual(self.calls, ["resume"])
            self.calls.clear()

    def test_ends_while_paused(self) -> None:
        """An upstream that has ended is not asked to go on, and nothing of what it sent is lost."""
        content = b"x" + bytes(HIGH_WATER + 1)
        self.downloading = self.begin(content, len(content))
        for piece in (content[:1], content[1:]):
            self.downloading.arrive(piece)
        self.downloading.end()
        self.downloading.threads.run()
        self.assertEqual(self.downloading.tap.calls, ["pause"])
        self.assertEqual(self.downloading.found, content)

    def test_readers_set_no_pace(self) -> None:
        """A reader that reads nothing holds nobody up."""
        self.reader(self.downloading)
        for _ in range(3):
            self.downloading.arrive(bytes(HIGH_WATER))
            self.downloading.threads.step()
        self.assertEqual(self.calls, [])


class FailureTests(DownloadTestCase):
    """What goes wrong, and who is told."""

    def failed(self, downloading: Downloading, kind: type[Exception]) -> str:
        """Fail unless all who wait, and all who come later, are told, and nothing is kept; return the sentence."""
        said = {str(self.failureResultOf(waiting, kind).value) for waiting in self.waiting}
        late = self.reader_before.when_beyond(THE_END)
        said.add(str(self.failureResultOf(late, kind).value))
        self.assertTrue(downloading.download.has_failed)
        self.assertRaises(kind, downloading.download.raise_failure)
        self.assertFalse(self.reader_before.is_whole)
        self.assertIsNone(downloading.found)
        self.assertOver(downloading)
        (sentence,) = said
        return sentence

    def waited_for(self, size: int | None = len(CONTENT)) -> Downloading:
        """Begin a download of which four bytes are there, and for the rest of which two readers wait."""
        downloading = self.begin(size=size)
        downloading.arrive(b"0123")
        downloading.threads.step()
        self.reader_before = self.reader(downloading)
        self.waiting = [self.reader(downloading).when_beyond(offset) for offset in (9, THE_END)]
        return downloading

    def test_cut(self) -> None:
        """A body that is cut fails as the upstream says, and what had come can still be read."""
        for reason in (UpstreamUnavailable("cut"), UpstreamSilent("silent")):
            downloading = self.waited_for()
            downloading.end(Failure(reason))
            self.assertEqual(self.failed(downloading, type(reason)), str(reason))
            self.assertEqual(self.reader_before.read(0, 99), b"0123")
            self.successResultOf(self.reader_before.when_beyond(3))
            self.assertEqual(downloading.tap.calls, [])
            self.warned()

    def test_too_short(self) -> None:
        """A body that ends well before the announced length is cut all the same."""
        for end in (DONE, Failure(PotentialDataLoss())):
            downloading = self.waited_for()
            downloading.arrive(b"45678")
            downloading.end(end)
            self.assertEqual(downloading.threads.run(), ["append"])
            self.assertIn("9 of 10 bytes", self.failed(downloading, UpstreamUnavailable))
            self.assertEqual(self.reader_before.read(0, 99), b"012345678")

    def test_too_long(self) -> None:
        """A body that is longer than announced is wrong as soon as it is; no byte of the excess is readable."""
        downloading = self.waited_for()
        downloading.arrive(b"456789x")
        downloading.threads.run()
        self.assertIn("10 bytes", self.failed(downloading, ContentMismatch))
        self.assertEqual(downloading.tap.calls, ["stop"])
        self.assertLess(len(self.reader_before.read(0, 99)), 10)
        downloading.end(Failure(UpstreamUnavailable("closed by us")))

    def test_lie(self) -> None:
        """A body that does not fit its digest never looks whole: the last byte of it is readable to nobody."""
        for size in (10, None):
            downloading = self.waited_for(size)
            downloading.arrive(b"98765x")
            downloading.end()
            downloading.threads.run()
            self.assertIn(str(Digest.of(b"012398765x")), self.failed(downloading, ContentMismatch))
            self.assertEqual(self.reader_before.read(0, 99), b"012398765")
            self.warned()

    def test_disk_takes_no_more(self) -> None:
        """A disk that fails in the midst of it stops the upstream, and readers are told."""
        downloading = self.waited_for()
        downloading.arrive(b"456")
        downloading.threads.fail(FULL)
        self.assertEqual(self.failed(downloading, StoreUnavailable), "the disk is full")
        self.assertEqual(downloading.tap.calls, ["stop"])
        self.assertEqual(self.reader_before.read(0, 99), b"0123")
        downloading.arrive(b"789")  # what was on its way
        downloading.end(Failure(UpstreamUnavailable("closed by us")))
        self.assertEqual(downloading.threads.waiting, [])
        self.warned()

    def test_disk_fails_at_the_end(self) -> None:
        """A disk that cannot publish what is whole takes it from no reader; it is just not kept."""
        downloading = self.waited_for()
        downloading.arrive(b"456789")
        downloading.end()
        for _ in range(2):
            downloading.threads.step()
        self.assertEqual(downloading.threads.next, "publish")
        downloading.threads.fail(FULL)
        for waiting in self.waiting:
            self.successResultOf(waiting)
        self.assertFalse(downloading.download.has_failed)
        self.assertEqual((self.reader_before.read(0, 99), downloading.found), (CONTENT, None))
        self.assertOver(downloading)
        self.warned()

    def test_bug(self) -> None:
        """A bug is logged as one, and readers are told that there was one, but not what."""
        downloading = self.waited_for()
        downloading.arrive(b"456")
        downloading.threads.fail(ZeroDivisionError("secret"))
        self.assertEqual(self.failed(downloading, RegistryProxyError), "internal error")
        self.assertEqual(downloading.tap.calls, ["stop"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stopped(self) -> None:
        """Whoever stops the service asks the upstream for no more, once; what is whole by then is still published."""
        downloading = self.waited_for()
        downloading.download.stop()
        self.assertEqual(downloading.tap.calls, ["stop"])
        downloading.end(Failure(UpstreamUnavailable("closed by us")))
        self.failed(downloading, UpstreamUnavailable)
        downloading = self.waited_for()
        downloading.arrive(b"456789")
        downloading.end()
        downloading.download.stop()
        downloading.threads.run()
        self.assertEqual((downloading.tap.calls, downloading.found), ([], CONTENT))


class ReaderTests(DownloadTestCase):
    """Readers, and how they wait."""

    def test_each_at_its_own_offset(self) -> None:
        """Of a thousand who wait at different offsets, those are woken for whom there is something."""
        downloading = self.begin(bytes(1000), 1000)
        readers = [self.reader(downloading) for _ in range(10)]
        waiting = [readers[offset % 10].when_beyond(offset) for offset in range(1000)]
        for there in (1, 500, 999):
            downloading.arrive(bytes(there - downloading.download.readable))
            downloading.threads.step()
            self.assertEqual([each.called for each in waiting], [offset < there for offset in range(1000)])
        downloading.arrive(bytes(1))
        downloading.end()
        downloading.threads.run()
        self.assertTrue(all(each.called for each in waiting))

    def test_nobody_waits_for_what_is_there(self) -> None:
        """What is readable is readable at once, and so is the end of what is whole, wherever one asks."""
        downloading = self.begin()
        reader = self.reader(downloading)
        downloading.arrive(CONTENT)
        downloading.end()
        downloading.threads.step()
        self.successResultOf(reader.when_beyond(8))
        waiting = reader.when_beyond(9)
        self.assertNoResult(waiting)
        downloading.threads.run()
        self.successResultOf(waiting)
        for offset in (9, 10, THE_END):
            self.successResultOf(reader.when_beyond(offset))
        self.assertEqual([reader.read(9, 99), reader.read(10, 99), reader.read(2, 3)], [b"9", b"", b"234"])

    def test_leaving(self) -> None:
        """A reader that waits no more is forgotten, and disturbs neither the others nor the download."""
        downloading = self.begin()
        reader = self.reader(downloading)
        leaving, staying = reader.when_beyond(0), reader.when_beyond(0)
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertEqual(len(downloading.download._waiting), 1)
        downloading.arrive(CONTENT)
        downloading.end()
        downloading.threads.run()
        self.successResultOf(staying)
        self.assertEqual((downloading.found, downloading.download._waiting), (CONTENT, []))

    def test_sent_away_by_another(self) -> None:
        """A reader that is sent away by one who is woken before it is not woken, be it to good news or bad."""
        for end in (DONE, Failure(UpstreamUnavailable("cut"))):
            downloading = self.begin()
            reader = self.reader(downloading)
            first = reader.when_beyond(THE_END)
            second = reader.when_beyond(THE_END)
            first.addBoth(lambda _, other: other.cancel(), second)
            downloading.arrive(CONTENT)
            downloading.end(end)
            downloading.threads.run()
            self.failureResultOf(second, CancelledError)

    def test_waits_again_when_woken(self) -> None:
        """A reader that upon being woken waits for more, as all do, is woken once for each."""
        downloading = self.begin()
        reader = self.reader(downloading)
        read: list[bytes] = []

        def read_on(_: object) -> Any:
            read.append(reader.read(sum(map(len, read)), 99))
            if read[-1]:
                reader.when_beyond(sum(map(len, read))).addCallback(read_on)

        reader.when_beyond(0).addCallback(read_on)
        for piece in (b"0", b"123", b"45678", b"9"):
            downloading.arrive(piece)
            downloading.threads.step()
        downloading.end()
        downloading.threads.run()
        self.assertEqual(read, [b"0", b"123", b"45678", b"9", b""])

    def test_outlives_the_download(self) -> None:
        """Who came in time reads to the end, though the download is over, and the content no longer kept."""
        downloading = self.begin()
        reader = self.reader(downloading)
        downloading.arrive(CONTENT)
        downloading.end()
        downloading.threads.run()
        downloading.store._layout.blob(downloading.download.digest).unlink()
        self.assertEqual(reader.read(0, 99), CONTENT)

    def test_comes_while_it_is_published(self) -> None:
        """Who comes after the rename, and before the download knows of it, can still be given a reader."""
        downloading = self.begin()
        downloading.arrive(CONTENT)
        downloading.end()
        for _ in range(2):
            downloading.threads.step()
        done, publish, _ = downloading.threads.waiting.pop()
        publish()
        self.assertEqual(self.reader(downloading).read(0, 99), CONTENT)
        done.callback(None)
        self.assertOver(downloading)

    def test_closes_twice(self) -> None:
        """Closing twice is closing once, and closes nobody else's file."""
        downloading = self.begin()
        first, second = downloading.download.open_source(), self.reader(downloading)
        first.close()
        third = self.reader(downloading)
        first.close()
        downloading.arrive(b"01")
        downloading.threads.step()
        self.assertEqual((second.read(0, 9), third.read(0, 9)), (b"01", b"01"))

    def test_shrunk(self) -> None:
        """A file that somebody cuts short behind our back is found out."""
        downloading = self.begin()
        reader = self.reader(downloading)
        downloading.arrive(b"0123")
        downloading.threads.step()
        downloading.parts[0].write_bytes(b"")
        self.assertRaises(ContentMismatch, reader.read, 0, 99)


class AnyOrderTests(DownloadTestCase):
    """Whatever comes when."""

    @given(lists(binary(min_size=1, max_size=5), max_size=8), booleans(), booleans(), booleans(), data())
    def test_nothing_wrong_ever_looks_whole(
        self, pieces: list[bytes], is_announced: bool, is_true: bool, is_cut: bool, draw: DataObject
    ) -> None:
        """
        However a body arrives and however slow the disk is: readers see a growing beginning of what was sent, all of
        it only if it is right, and they learn how it ended.
        """
        sent = b"".join(pieces)
        promised = sent if is_true else sent + b"!"
        downloading = self.begin(promised, len(promised) if is_announced else None)
        reader = downloading.download.open_source()
        waiting = reader.when_beyond(THE_END)
        arriving: list[bytes | None] = [*pieces, None]
        seen = b""
        while downloading.threads.waiting or (arriving and not downloading.download.has_failed):
            if downloading.threads.waiting and (not arriving or draw.draw(booleans())):
                downloading.threads.step()
            elif (piece := arriving.pop(0)) is not None:
                downloading.arrive(piece)
            else:
                downloading.end(Failure(UpstreamUnavailable("cut")) if is_cut else DONE)
            now = reader.read(0, 999)
            self.assertTrue(now.startswith(seen) and sent.startswith(now), (seen, now, sent))
            looks_whole = len(now) == (len(promised) if is_announced else len(sent))
            self.assertFalse(looks_whole and now and not reader.is_whole)
            seen = now
        is_right = is_true and not is_cut
        self.assertEqual((reader.is_whole, downloading.found), (is_right, promised if is_right else None))
        if is_right:
            self.successResultOf(waiting)
            self.assertEqual((seen, reader.size), (promised, len(promised)))
        else:
            self.failureResultOf(waiting, UpstreamUnavailable, ContentMismatch)
        reader.close()
        self.assertOver(downloading)
