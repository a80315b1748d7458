"""Whatever is done to a store, in whatever order, crashes included: what it finds is what the digest promises."""

import os
import tempfile
from pathlib import Path
from typing import Any

from attrs import define
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import booleans, integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import ContentMismatch, StoreUnavailable
from registryproxy.oci.digest import Digest
from registryproxy.store.blobs import BlobStore, BlobWriter
from tests.support.stores import kept

CONTENTS = {
    Digest.of(content, algorithm): content
    for content in (b"", b"a", b"0123456789", bytes(100))
    for algorithm in ("sha256", "sha512")
}


@define(eq=False)
class Writing:
    """One writer, and what it should know."""

    writer: BlobWriter
    digest: Digest
    appended: bytes = b""
    is_published: bool = False


class StoreMachine(RuleBasedStateMachine):
    """Two stores on one folder, as two processes have them."""

    writings = Bundle("writings")

    def __init__(self) -> None:
        """Begin with an empty folder."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=Path.cwd())
        self.stores = [BlobStore.on(Path(self.folder.name)) for _ in range(2)]
        self.writing: list[Writing] = []
        self.published: set[Digest] = set()
        self.crashed: set[str] = set()

    def teardown(self) -> None:
        """Let go of everything."""
        for writing in self.writing:
            writing.writer.abandon()
        self.folder.cleanup()

    @rule(target=writings, digest=sampled_from(sorted(CONTENTS)), which=integers(0, 1))
    def begin(self, digest: Digest, which: int) -> Any:
        """Begin to write, unless somebody is at it, in whichever process."""
        is_written = any(each.digest == digest and not each.is_published for each in self.writing)
        try:
            writer = self.stores[which].begin(digest)
        except StoreUnavailable:
            assert is_written
            return multiple()
        assert not is_written
        assert writer.received == 0
        writing = Writing(writer, digest)
        self.writing.append(writing)
        return writing

    @rule(writing=writings, count=integers(1, 60), is_right=booleans())
    def append(self, writing: Writing, count: int, is_right: bool) -> None:
        """Append the next bytes, or wrong ones."""
        if writing in self.writing and not writing.is_published:
            content = CONTENTS[writing.digest]
            start = len(writing.appended)
            data = content[start : start + count] if is_right else b"x" * count
            writing.writer.append(data)
            writing.appended += data
            assert writing.writer.received == len(writing.appended)

    @rule(writing=writings)
    def read_along(self, writing: Writing) -> None:
        """Read what has been appended until now."""
        if writing in self.writing:
            descriptor = writing.writer.open_reader()
            assert os.pread(descriptor, 1000, 0) == writing.appended
            os.close(descriptor)

    @rule(writing=writings)
    def publish(self, writing: Writing) -> None:
        """Verify, and publish what is right; what is wrong is told to be wrong."""
        if writing in self.writing and not writing.is_published:
            try:
                writing.writer.verify()
            except ContentMismatch:
                assert writing.appended != CONTENTS[writing.digest]
                return
            assert writing.appended == CONTENTS[writing.digest]
            writing.writer.publish()
            writing.is_published = True
            self.published.add(writing.digest)

    @rule(writing=consumes(writings))
    def abandon(self, writing: Writing) -> None:
        """Let go, at whatever stage."""
        if writing in self.writing:
            self.writing.remove(writing)
            writing.writer.abandon()

    @rule()
    def crash(self) -> None:
        """Be killed: the kernel closes what is open, and nobody cleans up; then start again."""
        for writing in self.writing:
            self.crashed.add(f"{writing.digest}.part")
            os.close(writing.writer._descriptor)
            writing.writer._descriptor = -1
        self.writing.clear()
        self.stores = [BlobStore.on(Path(self.folder.name)) for _ in range(2)]

    @invariant()
    def what_is_found_is_right(self) -> None:
        """All that was published is found, whole; nothing else is; in both processes."""
        for store in self.stores:
            for digest, content in CONTENTS.items():
                expected = content if digest in self.published else None
                assert kept(store, digest) == expected, digest
                assert store.size(digest) == (None if expected is None else len(expected))

    @invariant()
    def nothing_else_lies_about(self) -> None:
        """There is a part of each that is being written, and of nothing else, unless there was a crash."""
        parts = {path.name for path in (Path(self.folder.name) / "incoming").iterdir()}
        written = {f"{each.digest}.part" for each in self.writing if not each.is_published}
        assert written <= parts <= written | self.crashed


class MachineTests(SynchronousTestCase):
    """Runs the machine."""

    def test_machine(self) -> None:
        """Nothing wrong is ever found, and nothing that was published is ever lost."""
        run_state_machine_as_test(
            StoreMachine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
        )
