"""Private images stay private, though they are kept: a registry with a password behind the proxy."""

from __future__ import annotations

from base64 import b64encode

from tests.interop import contract
from tests.interop.clients.curl import ask
from tests.interop.clients.skopeo import Skopeo
from tests.interop.images import make_image
from tests.interop.needs import reason_to_skip
from tests.interop.registry import CREDENTIALS


class PrivateTests(contract.LabTestCase):
    """With skopeo, which takes credentials on its command line, and curl, which doesn't ask whether it may ask."""

    skip = reason_to_skip("skopeo", "curl")

    def setUp(self) -> None:
        """Lock an image up."""
        super().setUp()
        self.secret = make_image("secret")
        self.lab.locked.push("team/secret", "1", self.secret)
        self.secret_name = self.lab.locked.name("team/secret", "1")

    def client(self, who: str, credentials: str) -> Skopeo:
        """Bring a client that has nothing but C{credentials}."""
        client = Skopeo.visiting(self.lab, who)
        client.credentials = credentials
        return client

    def assert_pulls(self, who: str) -> None:
        """Have a new client pull with the right credentials, and compare what it has then."""
        client = self.client(who, CREDENTIALS)
        client.pull(self.secret_name)
        self.assertEqual(client.pulled(self.secret_name, self.secret.files), self.secret.as_pulled())

    def assert_refused(self, who: str, credentials: str) -> None:
        """Have a new client try to pull; it must be told that it isn't let in."""
        client = self.client(who, credentials)
        refusal = self.assertRaises(AssertionError, client.pull, self.secret_name)
        self.assertRegex(str(refusal), "authentication required|unauthorized")

    def test_who_may_read(self) -> None:
        """Whoever has the registry's credentials pulls with them, and when it is kept no byte is fetched again."""
        self.assert_pulls("first")
        self.lab.locked.forget()
        self.assert_pulls("second")
        self.assertEqual(self.lab.locked.fetches(), [])

    def test_who_may_not(self) -> None:
        """Whoever has none, or wrong ones, gets nothing, before and after it was fetched for somebody else."""
        self.assert_refused("nobody, cold", "")
        self.assert_pulls("owner")
        self.assert_refused("nobody, warm", "")
        self.assert_refused("guesser, warm", "ali:open barley")

    def test_log_keeps_the_secret(self) -> None:
        """The proxy's log has neither the password nor the header that carried it."""
        self.assert_pulls("owner")
        self.lab.proxy.stop()
        words = self.lab.proxy.words()
        self.assertIn("team/secret", words)
        for secret in (CREDENTIALS, b64encode(CREDENTIALS.encode()).decode()):
            self.assertNotIn(secret, words)

    def test_digest_opens_nothing(self) -> None:
        """Nor is it enough to know the digest of what is kept, at the registry it came from or at another."""
        self.assert_pulls("owner")
        manifest, blob = self.secret.manifest.digest, self.secret.layers[0].digest
        for path in (f"team/secret/manifests/{manifest}", f"team/secret/blobs/{blob}"):
            self.assertEqual(ask(self.lab, self.lab.locked, path).status, 401)
        for path in (f"{contract.REPOSITORY}/manifests/{manifest}", f"{contract.REPOSITORY}/blobs/{blob}"):
            self.assertEqual(ask(self.lab, self.lab.one, path).status, 404)
