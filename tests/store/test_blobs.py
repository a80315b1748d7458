"""Tests for L{registryproxy.store.blobs}: what is kept, and how it gets there."""

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import ContentMismatch
from registryproxy.interfaces import IBlobSource
from registryproxy.oci.digest import Digest
from registryproxy.store.blobs import BlobStore
from registryproxy.store.layout import Layout
from tests.support.blobs import BlobSourceContract
from tests.support.stores import CONTENT, DIGEST, BlobStoreContract, keep, kept


class StoreTestCase(SynchronousTestCase):
    """A store in a folder of its own."""

    def setUp(self) -> None:
        """Make it."""
        self.root = Path(self.mktemp())
        self.store = BlobStore.on(self.root)
        self.layout = Layout(self.root)
        self.part, self.final = self.layout.part(DIGEST), self.layout.blob(DIGEST)

    def files(self) -> list[Path]:
        """List every file below the root."""
        return sorted(path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())

    def found(self) -> IBlobSource:
        """Find the content."""
        source = self.store.find(DIGEST)
        assert source is not None
        self.addCleanup(source.close)
        return source


class BlobStoreTests(BlobStoreContract, SynchronousTestCase):
    """It does what every store does."""

    def make_store(self) -> BlobStore:
        """Make an empty store."""
        return BlobStore.on(Path(self.mktemp()))


class StoredBlobTests(BlobSourceContract, SynchronousTestCase):
    """What it finds does what every source does."""

    def make_source(self, content: bytes) -> IBlobSource:
        """Keep content, and find it."""
        store = BlobStore.on(Path(self.mktemp()))
        source = store.find(keep(store, content))
        assert source is not None
        self.addCleanup(source.close)
        return source


class PublishTests(StoreTestCase):
    """How content gets its name."""

    def test_grows_under_another_name(self) -> None:
        """Until it is published, content lies in the folder of what is not whole, and nowhere else."""
        writer = self.store.begin(DIGEST)
        writer.append(CONTENT)
        writer.verify()
        self.assertEqual(self.files(), [self.part.relative_to(self.root)])
        writer.publish()
        self.assertEqual(self.files(), [self.final.relative_to(self.root)])

    def test_appears_whole(self) -> None:
        """It is the same file that gets the name: there is no moment at which a part of it could be seen."""
        writer = self.store.begin(DIGEST)
        writer.append(CONTENT)
        writer.verify()
        before = self.part.stat()
        writer.publish()
        self.assertTrue(os.path.samestat(before, self.final.stat()))

    def test_ours_alone(self) -> None:
        """Every folder and every file is for our user only, whatever the umask: private images are in them."""
        self.addCleanup(os.umask, os.umask(0))
        root = Path(self.mktemp()) / "deep" / "cache"
        store = BlobStore.on(root)
        keep(store, CONTENT)
        growing = store.begin(Digest.of(b"other"))
        self.addCleanup(growing.abandon)
        for path in (root.parent, root, *root.rglob("*")):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700 if path.is_dir() else 0o600, path)

    def test_folders_that_are_there_stay_as_they_are(self) -> None:
        """A folder that the operator has made keeps the rights that he gave it."""
        root = Path(self.mktemp())
        root.mkdir(mode=0o750)
        root.chmod(0o750)
        BlobStore.on(root)
        self.assertEqual(stat.S_IMODE(root.stat().st_mode), 0o750)

    def test_again(self) -> None:
        """What is kept may be written once more: the new file takes the old one's name."""
        keep(self.store, CONTENT)
        self.final.write_bytes(b"rotten")
        keep(self.store, CONTENT)
        self.assertEqual(kept(self.store, DIGEST), CONTENT)

    def test_no_descriptor_is_left(self) -> None:
        """However a writer and a source end, no descriptor stays open."""
        descriptors = Path("/proc/self/fd")
        before = len(list(descriptors.iterdir()))
        keep(self.store, CONTENT)
        writer = self.store.begin(Digest.of(b"other"))
        writer.append(b"rubbish")
        reader = writer.open_reader()
        self.assertRaises(ContentMismatch, writer.verify)
        writer.abandon()
        os.close(reader)
        self.found().close()
        self.assertEqual(len(list(descriptors.iterdir())), before)


class ReadTests(StoreTestCase):
    """Reading what is kept, though the disk be what it is."""

    def test_missing_and_unreadable(self) -> None:
        """What is missing, or lies where a file should be a folder, is not found; nothing is raised."""
        self.assertEqual((self.store.find(DIGEST), self.store.size(DIGEST)), (None, None))
        self.final.parent.parent.mkdir(parents=True)
        self.final.parent.write_bytes(b"no folder")
        self.assertEqual((self.store.find(DIGEST), self.store.size(DIGEST)), (None, None))
        self.final.parent.unlink()
        self.final.parent.mkdir()
        self.final.symlink_to(self.final)  # so that root, too, cannot open it
        self.assertEqual((self.store.find(DIGEST), self.store.size(DIGEST)), (None, None))

    def test_shrunk(self) -> None:
        """Content that has become shorter since it was found is told from content that ends."""
        keep(self.store, CONTENT)
        source = self.found()
        os.truncate(self.final, 4)
        self.assertEqual(source.read(0, 100), b"0123")
        refused = self.assertRaises(ContentMismatch, source.read, 4, 100)
        self.assertIn(str(DIGEST), str(refused))
        self.assertEqual(source.read(10, 100), b"")

    def test_unreadable_sector(self) -> None:
        """A disk that cannot read what it took is no bug of ours: the content is not what it should be."""
        keep(self.store, CONTENT)
        source = self.store.find(DIGEST)
        assert source is not None
        os.close(source._descriptor)
        source._descriptor = os.open(self.root, os.O_RDONLY)  # a folder: each read of it fails
        self.assertRaises(ContentMismatch, source.read, 0, 100)
        source.close()

    def test_removed(self) -> None:
        """Whoever has found content reads it to its end, though its name be removed or given to another file."""
        keep(self.store, CONTENT)
        source = self.found()
        keep(self.store, CONTENT)
        self.final.unlink()
        self.assertEqual(source.read(0, 100), CONTENT)

    def test_readers_are_apart(self) -> None:
        """Each reader reads where it wants, and closing one closes none of the others."""
        keep(self.store, CONTENT)
        first, second = self.found(), self.found()
        self.assertEqual(first.read(5, 2), b"56")
        first.close()
        self.assertEqual(second.read(0, 3), b"012")

    def test_writable(self) -> None:
        """A store whose folder is gone takes nothing."""
        self.assertTrue(self.store.is_writable())
        self.layout.incoming.rmdir()
        self.assertFalse(self.store.is_writable())

    def test_where_no_folder_can_be(self) -> None:
        """A root that is a file, or below one, is an error of the operating system, and nothing else."""
        occupied = Path(self.mktemp())
        occupied.write_bytes(b"")
        for root in (occupied, occupied / "below"):
            self.assertRaises(OSError, BlobStore.on, root)
