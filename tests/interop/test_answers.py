"""What clients are told besides the bytes: headers, refusals, and the proxy's own log of it."""

from __future__ import annotations

from tests.interop import contract
from tests.interop.clients.curl import Answer, ask
from tests.interop.images import Blob
from tests.interop.needs import reason_to_skip

STATUS = "X-Docker-Registry-Proxy-Cache-Upstream-Status"


class AnswerTests(contract.LabTestCase):
    """With curl, which shows all of them."""

    skip = reason_to_skip("curl")

    def asked(self, path: str, *words: str) -> Answer:
        """Ask registry one for C{path} below the repository, through the proxy."""
        return ask(self.lab, self.lab.one, f"{contract.REPOSITORY}/{path}", *words)

    def assert_describes(self, answer: Answer, blob: Blob, media_type: str) -> None:
        """The headers of C{answer} say what C{blob} is, to the letter."""
        told = {
            name: answer.headers[name] for name in ("Content-Type", "Content-Length", "Docker-Content-Digest")
        }
        length = str(len(blob.content))
        wanted = {"Content-Type": media_type, "Content-Length": length, "Docker-Content-Digest": blob.digest}
        self.assertEqual((answer.status, told), (200, wanted))

    def test_manifest(self) -> None:
        """A manifest comes byte for byte as it was pushed, and named as it is, cold and warm."""
        manifest = self.image.manifest
        accept = ["--header", f"Accept: {manifest.media_type}"]
        for status in ("MISS", "REVALIDATED"):
            answer = self.asked(f"manifests/{contract.TAG}", *accept)
            self.assert_describes(answer, manifest, manifest.media_type)
            self.assertEqual((answer.body, answer.headers[STATUS]), (manifest.content, status))
        answer = self.asked(f"manifests/{manifest.digest}", *accept)
        self.assertEqual((answer.body, answer.headers[STATUS]), (manifest.content, "HIT"))

    def test_blob(self) -> None:
        """A blob comes byte for byte as it was pushed, cold and warm, and any part of it."""
        blob = self.image.layers[1]
        for status in ("MISS", "HIT"):
            answer = self.asked(f"blobs/{blob.digest}")
            self.assert_describes(answer, blob, "application/octet-stream")
            self.assertEqual(answer.headers[STATUS], status)
            self.assertTrue(answer.body == blob.content)
        part = self.asked(f"blobs/{blob.digest}", "--range", "1000-1999")
        self.assertEqual((part.status, part.body), (206, blob.content[1000:2000]))

    def test_head_stays_head(self) -> None:
        """Who asks whether a tag exists is told all about it, and the registry isn't asked for the manifest."""
        manifest = self.image.manifest
        answer = self.asked(
            f"manifests/{contract.TAG}", "--head", "--header", f"Accept: {manifest.media_type}"
        )
        self.assert_describes(answer, manifest, manifest.media_type)
        self.assertEqual(self.lab.one.fetches(), [])

    def test_push_is_refused(self) -> None:
        """Nobody pushes through a proxy that wasn't told to let them."""
        self.assertEqual(self.asked("blobs/uploads/", "--request", "POST").status, 405)
        self.assertEqual([one.method for one in self.lab.one.asked() if one.method != "GET"], [])

    def test_log(self) -> None:
        """The proxy tells of each request in one line of JSON."""
        blob = self.image.layers[0]
        for _ in ("cold", "warm"):
            self.asked(f"blobs/{blob.digest}")
        self.lab.proxy.stop()  # by then it has written what it had to say
        told = [
            (
                line["method"],
                line["registry"],
                line["repository"],
                line["result"],
                line["status"],
                line["bytes"],
            )
            for line in self.lab.proxy.journal()
            if line.get("digest") == blob.digest
        ]
        common = (200, len(blob.content))
        place = ("GET", f"{self.lab.one.host}:{self.lab.one.port}", contract.REPOSITORY)
        self.assertEqual(told, [(*place, "miss", *common), (*place, "hit", *common)])
