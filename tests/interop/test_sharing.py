"""What a cache is for: many clients, many names and many starts of the proxy, and one fetch of each blob."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.interop import contract
from tests.interop.clients.podman import Podman
from tests.interop.clients.skopeo import Skopeo
from tests.interop.images import Image, make_image
from tests.interop.needs import reason_to_skip
from tests.interop.registry import Registry

#: Clients that pull at the same time.
CROWD = 8


class SharingTests(contract.LabTestCase):
    """Mostly with skopeo, the quickest of the clients; each that is brought here begins with nothing."""

    skip = reason_to_skip("skopeo", "podman")

    def assert_pulls(self, name: str, image: Image, who: str) -> None:
        """Have a new client, called C{who}, pull C{name}, and compare all that it then has with C{image}."""
        client = Skopeo.visiting(self.lab, who)
        client.pull(name)
        self.assertEqual(client.pulled(name, image.files), image.as_pulled())

    def blobs_fetched(self, registry: Registry) -> Counter[str]:
        """Count how often each blob was asked for since the registry was told to forget."""
        return Counter(one.target.rpartition("/")[2] for one in registry.fetches() if "/blobs/" in one.target)

    def test_many_at_once(self) -> None:
        """Clients that pull the same image at the same time, cold, all get it, and each blob is fetched once."""
        clients = [Skopeo.visiting(self.lab, f"client-{number}") for number in range(CROWD)]
        with ThreadPoolExecutor(CROWD) as crowd:
            for pull in [crowd.submit(client.pull, self.name) for client in clients]:
                pull.result()
        for client in clients:
            self.assertEqual(client.pulled(self.name, self.image.files), self.image.as_pulled())
        self.assertEqual(self.blobs_fetched(self.lab.one), Counter(blob.digest for blob in self.image.blobs))

    def test_one_cache_for_all_clients(self) -> None:
        """What one client has pulled another kind of client gets without a byte from the registry."""
        self.assert_pulls(self.name, self.image, "skopeo")
        self.lab.one.forget()
        podman = Podman.visiting(self.lab, "podman")
        podman.pull(self.name)
        self.assertEqual(podman.pulled(self.name, self.image.files), self.image.as_pulled())
        self.assertEqual(self.lab.one.fetches(), [])

    def test_same_blobs_elsewhere(self) -> None:
        """A blob is fetched once, whatever the registries and repositories that have it."""
        self.assert_pulls(self.name, self.image, "first")
        self.lab.two.push("other/app", "2", self.image)
        self.assert_pulls(self.lab.two.name("other/app", "2"), self.image, "second")
        self.assertEqual(self.blobs_fetched(self.lab.two), Counter())

    def test_moved_tag(self) -> None:
        """When a tag means another image, the next pull brings that one."""
        self.assert_pulls(self.name, self.image, "before")
        newer = make_image("newer")
        self.lab.one.push(contract.REPOSITORY, contract.TAG, newer)
        self.assert_pulls(self.name, newer, "after")

    def test_kept_over_a_restart(self) -> None:
        """A proxy that was stopped, and is started again with the registry down, still has what it had."""
        self.assert_pulls(self.name, self.image, "before")
        self.lab.proxy.stop()
        self.lab.one.stop()
        self.lab.proxy.start()
        self.assert_pulls(self.name, self.image, "after")

    def test_kept_over_a_crash(self) -> None:
        """So has one that was killed right after the pull."""
        self.assert_pulls(self.name, self.image, "before")
        self.lab.proxy.kill()
        self.lab.one.stop()
        self.lab.proxy.start()
        self.assert_pulls(self.name, self.image, "after")
