"""What every client must be able to do through the proxy; the same tests for all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.clients.client import Client
from tests.interop.images import Image, make_image, make_index
from tests.interop.lab import Lab

REPOSITORY = "team/app"
TAG = "1"


class LabTestCase(SynchronousTestCase):
    """A test in a laboratory of its own, where registry one has an image."""

    maxDiff = None  # what a daemon said at its end is what one wants to read

    def setUp(self) -> None:
        """Build the laboratory."""
        self.lab = Lab.open()
        self.addCleanup(self.lab.close)
        self.addCleanup(self.assert_no_bug)
        self.image = make_image("one")
        self.lab.one.push(REPOSITORY, TAG, self.image)
        self.name = self.lab.one.name(REPOSITORY, TAG)

    def assert_no_bug(self) -> None:
        """Whatever happened, the proxy has met nothing that it did not foresee."""
        lines = self.lab.proxy.words().splitlines()
        unforeseen = [line for line in lines if "Traceback (most recent call last)" in line]
        self.assertEqual(unforeseen, [])


class PullContract(LabTestCase):
    """
    Subclass me for each client, and name the programs it needs in C{skip}.

    There is but one way to an image: its registry's name leads nowhere for the client, and its certificate would not
    be believed.  So whatever was pulled came through the proxy.
    """

    @abstractmethod
    def bring_client(self) -> Client:
        """Return the client under test, with an empty store."""

    def setUp(self) -> None:
        """Bring the client into the laboratory."""
        super().setUp()
        self.client = self.bring_client()
        self.addCleanup(self.client.end)

    def assert_pulls(self, name: str, image: Image) -> None:
        """Have the client pull C{name}, and compare all that it then has with C{image}."""
        self.client.pull(name)
        self.assertEqual(self.client.pulled(name, image.files), image.as_pulled())

    def test_cold_pull(self) -> None:
        """Out of an empty cache comes what was pushed, and the registry was asked for each blob once."""
        self.assert_pulls(self.name, self.image)
        wanted = Counter(f"/v2/{REPOSITORY}/blobs/{blob.digest}" for blob in self.image.blobs)
        asked = Counter(one.target for one in self.lab.one.fetches() if "/blobs/" in one.target)
        self.assertEqual(asked, wanted)

    def test_warm_pull(self) -> None:
        """A client that pulls again with nothing of its own gets the same, and the registry gives no byte for it."""
        self.client.pull(self.name)
        self.client.wipe()
        self.lab.one.forget()
        self.assert_pulls(self.name, self.image)
        self.assertEqual(self.lab.one.fetches(), [])

    def test_registry_stopped(self) -> None:
        """What was pulled once can be pulled while its registry is down."""
        self.client.pull(self.name)
        self.client.wipe()
        self.lab.one.stop()
        self.assert_pulls(self.name, self.image)

    def test_same_name_in_two_registries(self) -> None:
        """An image of the same repository and tag, elsewhere, is another image, warm as well as cold."""
        other, elsewhere = make_image("two"), self.lab.two.name(REPOSITORY, TAG)
        self.lab.two.push(REPOSITORY, TAG, other)
        for _ in ("cold", "warm"):
            self.assert_pulls(self.name, self.image)
            self.assert_pulls(elsewhere, other)
            self.client.wipe()

    def test_by_digest(self) -> None:
        """An image is pulled by the digest of its manifest, and again, without the registry being asked for a byte."""
        name = self.lab.one.name(REPOSITORY, self.image.manifest.digest)
        self.assert_pulls(name, self.image)
        self.client.wipe()
        self.lab.one.forget()
        self.assert_pulls(name, self.image)
        self.assertEqual(self.lab.one.fetches(), [])

    def test_index(self) -> None:
        """Of an index a client gets the image for its own platform, also while the registry is down."""
        index = make_index("many")
        self.lab.one.push("team/many", TAG, index)
        name = self.lab.one.name("team/many", TAG)
        image = index.image_for_this_machine()
        for _ in ("cold", "warm"):
            self.client.pull(name)
            pulled = self.client.pulled(name, image.files)
            self.assertEqual((pulled.config, pulled.files), (image.config.digest, image.as_pulled().files))
            self.assertIn(pulled.manifest, (index.manifest.digest, image.manifest.digest))
            self.client.wipe()
            self.lab.one.stop()
