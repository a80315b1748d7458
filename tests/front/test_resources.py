"""Tests of the tree of an intercepted registry: what a client sees on the wire, headers exact."""

import json
from pathlib import Path

from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from registryproxy.front.content import ContentWriter
from registryproxy.front.resources import RegistryRoot
from registryproxy.oci.accept import OCI_INDEX, OCI_MANIFEST
from registryproxy.oci.digest import Digest
from registryproxy.wire.authority import Authority
from tests.pull.test_tags import Unplugged
from tests.support.caller import Answer, Caller, chunked, get
from tests.support.house import ONE, TWO, House
from tests.support.registry import FakeInternet, FakeRegistry

MANIFEST = b'{"schemaVersion": 2,\n  "spaces": "kept"}'
STATUS = "x-docker-registry-proxy-cache-upstream-status"
TYPE = "x-docker-registry-proxy-cache-type"


class TreeTestCase(SynchronousTestCase):
    """A client on one side, two registries on the other."""

    def setUp(self) -> None:
        """Build them."""
        self.one, self.two = FakeRegistry(), FakeRegistry()
        self.root = Path(self.mktemp())
        self.house = House(self.root, FakeInternet(one=self.one, two=self.two))

    def caller(self, authority: Authority = ONE) -> Caller:
        """Connect a client that has said CONNECT to a registry."""
        writer = ContentWriter(self.house.clock, 60.0)
        return Caller(RegistryRoot(self.house.pull, writer), authority=authority, clock=self.house.clock)

    def ask(self, path: str, *fields: str, method: str = "GET", authority: Authority = ONE) -> Answer:
        """Ask one thing on a connection of its own."""
        caller = self.caller(authority)
        caller.send(get(path, *fields, method=method))
        self.settle()
        self.reported = caller.reports
        (answer,) = caller.heard(method)
        return answer

    def settle(self) -> None:
        """Let all that is on its way arrive."""
        for _ in range(5):
            self.house.agent.flush()
            self.house.clock.advance(0)

    def error(self, answer: Answer) -> tuple[int, str]:
        """Read an error as registry clients do."""
        self.assertEqual(answer.fields["content-type"], "application/json")
        (first,) = json.loads(answer.body)["errors"]
        return answer.status, first["code"]


class ContentTests(TreeTestCase):
    """Blobs and manifests."""

    def test_manifest(self) -> None:
        """A manifest comes byte for byte, with every header that clients depend on, MISS and then HIT."""
        digest = self.one.add_manifest("team/app", "1", MANIFEST)
        for word in ("MISS", "HIT"):
            answer = self.ask(f"/v2/team/app/manifests/{digest}")
            self.assertEqual((answer.status, answer.body), (200, MANIFEST))
            told = {name: answer.fields[name] for name in answer.fields if name not in {"date", "server"}}
            self.assertEqual(
                told,
                {
                    "content-type": OCI_MANIFEST,
                    "content-length": str(len(MANIFEST)),
                    "docker-content-digest": str(digest),
                    "docker-distribution-api-version": "registry/2.0",
                    "etag": f'"{digest}"',
                    "accept-ranges": "bytes",
                    STATUS: word,
                    TYPE: "manifest-by-digest",
                    "cache-status": "registryproxy; " + ("hit" if word == "HIT" else "fwd=uri-miss; stored"),
                },
            )

    def test_tag(self) -> None:
        """A tag is answered with the digest that it means, and its length to HEAD as well."""
        digest = self.one.add_manifest("team/app", "1", MANIFEST)
        for method, word in (
            ("HEAD", "MISS"),
            ("GET", "MISS"),
            ("HEAD", "REVALIDATED"),
            ("GET", "REVALIDATED"),
        ):
            answer = self.ask("/v2/team/app/manifests/1", "Accept: " + OCI_MANIFEST, method=method)
            self.assertEqual(answer.body, MANIFEST if method == "GET" else b"")
            self.assertEqual(answer.fields["content-length"], str(len(MANIFEST)))
            self.assertEqual(answer.fields["docker-content-digest"], str(digest))
            self.assertEqual(answer.fields["content-type"], OCI_MANIFEST)
            self.assertEqual(
                (answer.fields[STATUS], answer.fields[TYPE]), (word, "manifest-default-disabled")
            )
        self.assertEqual(self.one.count("GET"), 1)

    def test_blob(self) -> None:
        """A blob is fetched once, and given twice."""
        digest = self.one.add_blob(b"x" * 300_000)
        for word in ("MISS", "HIT"):
            answer = self.ask(f"/v2/team/app/blobs/{digest}")
            self.assertEqual((answer.status, answer.body), (200, b"x" * 300_000))
            self.assertEqual((answer.fields[STATUS], answer.fields[TYPE]), (word, "blob-by-digest"))
            self.assertEqual(answer.fields["docker-content-digest"], str(digest))
        self.assertEqual(self.one.count("GET"), 1)

    def test_blob_head(self) -> None:
        """A HEAD has the length that the GET would have, cold and warm."""
        digest = self.one.add_blob(b"content")
        cold = self.ask(f"/v2/team/app/blobs/{digest}", method="HEAD")
        self.ask(f"/v2/team/app/blobs/{digest}")
        warm = self.ask(f"/v2/team/app/blobs/{digest}", method="HEAD")
        for answer, word in ((cold, "MISS"), (warm, "HIT")):
            self.assertEqual((answer.status, answer.fields["content-length"], answer.body), (200, "7", b""))
            self.assertEqual(answer.fields[STATUS], word)

    def test_several_registries(self) -> None:
        """The same repository and tag of two registries: each client gets its own, whatever its Host says."""
        self.one.add_manifest("team/app", "1", MANIFEST)
        self.two.add_manifest("team/app", "1", MANIFEST + b"\n", OCI_INDEX)
        for _ in range(2):
            self.assertEqual(self.ask("/v2/team/app/manifests/1").body, MANIFEST)
            other = self.ask("/v2/team/app/manifests/1", authority=TWO)
            self.assertEqual((other.body, other.fields["content-type"]), (MANIFEST + b"\n", OCI_INDEX))

    def test_percent_encoded(self) -> None:
        """A client may encode the colon of a digest."""
        digest = self.one.add_blob(b"content")
        self.assertEqual(self.ask(f"/v2/team/app/blobs/{str(digest).replace(':', '%3A')}").body, b"content")

    def test_absolute_form(self) -> None:
        """A target in absolute form is answered like any other."""
        digest = self.one.add_blob(b"content")
        self.assertEqual(self.ask(f"https://one.test/v2/team/app/blobs/{digest}").body, b"content")

    def test_not_modified(self) -> None:
        """A client that has it already is told so."""
        digest = self.one.add_blob(b"content")
        self.ask(f"/v2/team/app/blobs/{digest}")
        answer = self.ask(f"/v2/team/app/blobs/{digest}", f'If-None-Match: "{digest}"')
        self.assertEqual((answer.status, answer.body), (304, b""))

    def test_length_not_announced(self) -> None:
        """Where the registry announces no length the first client gets the blob in chunks, and the next the length."""
        self.one.says_length = False
        digest = self.one.add_blob(b"content")
        self.assertEqual(self.ask(f"/v2/team/app/blobs/{digest}").body, b"content")
        self.assertEqual(self.ask(f"/v2/team/app/blobs/{digest}").fields["content-length"], "7")

    def test_unknown_algorithm(self) -> None:
        """Content under a digest that nobody here can check is passed through, each time."""
        self.one.other = lambda _: b"content"
        for _ in range(2):
            self.assertEqual(self.ask("/v2/team/app/blobs/blake3:abcd").body, b"content")
        self.assertEqual(self.one.count("GET"), 2)


class RangeTests(TreeTestCase):
    """Parts of blobs."""

    def setUp(self) -> None:
        """Let a blob be there."""
        super().setUp()
        self.digest = self.one.add_blob(b"0123456789")
        self.path = f"/v2/team/app/blobs/{self.digest}"

    def test_cold_and_warm(self) -> None:
        """A range is 206 with its place, whether or not the blob was kept; and the whole is kept."""
        for _ in range(2):
            answer = self.ask(self.path, "Range: bytes=2-4")
            self.assertEqual((answer.status, answer.body), (206, b"234"))
            self.assertEqual(answer.fields["content-range"], "bytes 2-4/10")
            self.assertEqual(answer.fields["content-length"], "3")
        self.assertEqual(self.one.count("GET"), 1)

    def test_resume(self) -> None:
        """A client that was cut off gets the rest."""
        answer = self.ask(self.path, "Range: bytes=7-")
        self.assertEqual((answer.status, answer.body), (206, b"789"))

    def test_past_the_end(self) -> None:
        """A range past the end is refused with the size."""
        answer = self.ask(self.path, "Range: bytes=10-")
        self.assertEqual((answer.status, answer.fields["content-range"]), (416, "bytes */10"))
        self.assertEqual(self.error(answer), (416, "SIZE_INVALID"))

    def test_if_range(self) -> None:
        """A range of something else is answered with the whole."""
        self.assertEqual(self.ask(self.path, "Range: bytes=2-4", f'If-Range: "{self.digest}"').status, 206)
        self.assertEqual(self.ask(self.path, "Range: bytes=2-4", 'If-Range: "other"').status, 200)


class RefusalTests(TreeTestCase):
    """What is not answered, and how clients are told."""

    def test_malformed(self) -> None:
        """Anything malformed gets an error that names it, and asks nobody."""
        for path, code in (
            ("/v2/UPPER/manifests/1", "NAME_INVALID"),
            ("/v2/a//b/manifests/1", "NAME_INVALID"),
            ("/v2/../../etc/passwd", "NAME_INVALID"),
            ("/v2/a/%2e%2e/blobs/sha256:00", "NAME_INVALID"),
            ("/v2/a/manifests/-bad", "TAG_INVALID"),
            ("/v2/a/manifests/", "TAG_INVALID"),
            ("/v2/a/manifests/sha256:short", "DIGEST_INVALID"),
            ("/v2/a/blobs/sha256:" + "A" * 64, "DIGEST_INVALID"),
            ("/v2/a/blobs/nodigest", "DIGEST_INVALID"),
            ("/v2/a/blobs/sha256:..%2f..%2fx", "NAME_INVALID"),
        ):
            self.assertEqual(self.error(self.ask(path)), (400, code), path)
        self.assertEqual(self.one.asked, [])

    def test_writes(self) -> None:
        """Writes are refused with 405, and with what is allowed; their bodies are not waited for."""
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            caller = self.caller()
            answer, *rest = caller.ask(
                get("/v2/team/app/blobs/uploads/", "Content-Length: 100000", method=method), method
            )
            self.assertEqual((self.error(answer), rest), ((405, "UNSUPPORTED"), []))
            self.assertEqual(answer.fields["allow"], "GET, HEAD")
        self.assertEqual(self.one.asked, [])

    def test_no_smuggling(self) -> None:
        """What follows a refused write on its connection is not taken for a request."""
        caller = self.caller()
        body = chunked(get("/v2/team/app/manifests/1"))
        caller.send(get("/v2/a/blobs/uploads/", "Transfer-Encoding: chunked", method="POST") + body)
        self.settle()
        self.assertEqual([answer.status for answer in caller.heard("POST")], [405])
        self.assertEqual(self.one.asked, [])

    def test_old_api(self) -> None:
        """C{/v1} is refused with 405 and an explanation."""
        answer = self.ask("/v1/repositories/library/x/images")
        self.assertEqual(self.error(answer)[0], 405)
        self.assertIn(b"v1", answer.body)

    def test_private(self) -> None:
        """What a stranger may not have is refused with the registry's challenge and an error in JSON."""
        self.one.token = "Bearer alice"
        blob, manifest = self.one.add_blob(b"secret"), self.one.add_manifest("team/app", "1", MANIFEST)
        for path in (f"blobs/{blob}", f"manifests/{manifest}", "manifests/1"):
            self.assertEqual(self.ask(f"/v2/team/app/{path}", "Authorization: Bearer alice").status, 200)
            for method in ("GET", "HEAD"):
                refused = self.ask(f"/v2/team/app/{path}", method=method)
                self.assertEqual(refused.status, 401, path)
                self.assertIn("Bearer realm", refused.fields["www-authenticate"])
            self.assertEqual(self.error(self.ask(f"/v2/team/app/{path}")), (401, "UNAUTHORIZED"))

    def test_not_there(self) -> None:
        """What the registry does not have is its own 404."""
        for path in ("/v2/team/app/manifests/none", f"/v2/team/app/blobs/{Digest.of(b'none')}"):
            self.assertEqual(self.ask(path).status, 404)

    def test_unreachable(self) -> None:
        """A registry that cannot be reached is a 502 in JSON."""
        self.house = House(self.root / "other", FakeInternet(), outside=Unplugged(Refused()))
        for path in ("/v2/team/app/manifests/1", "/v2/team/app/tags/list", f"/v2/a/blobs/{Digest.of(b'')}"):
            self.assertEqual(self.error(self.ask(path)), (502, "UNAVAILABLE"))

    def test_head_of_an_error(self) -> None:
        """An error to a HEAD has a length and no body."""
        answer = self.ask("/v2/UPPER/manifests/1", method="HEAD")
        self.assertEqual((answer.status, answer.body), (400, b""))
        self.assertGreater(int(answer.fields["content-length"]), 0)

    def test_a_manifest_that_lies(self) -> None:
        """A manifest that does not fit its digest is a 502, and not kept."""
        digest = self.one.add_manifest("team/app", "1", MANIFEST)
        self.one.lies[digest] = b"<html>please log in</html>"
        for _ in range(2):
            self.assertEqual(self.ask(f"/v2/team/app/manifests/{digest}").status, 502)
        self.assertEqual(self.one.count("GET"), 2)

    def test_a_blob_that_lies(self) -> None:
        """A blob that does not fit its digest is cut off before its last byte, and the connection aborted."""
        digest = self.one.add_blob(b"0123456789")
        self.one.lies[digest] = b"9876543210"
        self.one.slow = True
        caller = self.caller()
        caller.send(get(f"/v2/team/app/blobs/{digest}"))
        self.settle()
        self.one.sending[0].send(10)
        self.settle()
        self.assertTrue(caller.transport.disconnected or caller.transport.disconnecting)
        self.assertTrue(caller.transport.value().endswith(b"\r\n\r\n987654321"))
        caller.leave()
        self.assertEqual([report.facts.result for report in caller.reports], ["failed"])


class PassThroughTests(TreeTestCase):
    """What is asked each time."""

    def test_tags(self) -> None:
        """A list of tags is passed on with its query and its headers, and asked for each time."""

        def tags(request: Request) -> bytes:
            request.setHeader("Link", '</v2/team/app/tags/list?last=b>; rel="next"')
            request.setHeader("Set-Cookie", "session=secret")
            request.setHeader("Content-Type", "application/json")
            return b'{"tags": ["a", "b"]}'

        self.one.other = tags
        for _ in range(2):
            answer = self.ask("/v2/team/app/tags/list?n=2", "Authorization: Bearer mine")
            self.assertEqual(answer.body, b'{"tags": ["a", "b"]}')
            self.assertEqual(answer.fields["link"], '</v2/team/app/tags/list?last=b>; rel="next"')
            self.assertNotIn("set-cookie", answer.fields)
            self.assertEqual(answer.fields["content-length"], "20")
        self.assertEqual([each.path for each in self.one.asked], ["/v2/team/app/tags/list?n=2"] * 2)
        self.assertEqual(self.one.asked[0].authorization, "Bearer mine")

    def test_tokens(self) -> None:
        """A token server's paths are passed through, query and all."""
        self.one.other = lambda _: b'{"token": "t"}'
        answer = self.ask("/token?service=x&scope=repository%3Aa%3Apull")
        self.assertEqual(answer.body, b'{"token": "t"}')
        self.assertEqual(self.one.asked[0].path, "/token?service=x&scope=repository%3Aa%3Apull")

    def test_what_goes_onward(self) -> None:
        """Cookies and what concerns only our connection stay behind; bodies are asked for as they are stored."""
        self.one.other = lambda _: b""
        self.ask("/v2/_catalog", "Cookie: a=b", "Accept-Encoding: zstd", "X-Own: yes", "Connection: X-Own")
        names = {name.lower(): value for name, value in self.one.asked[0].fields}
        self.assertNotIn("cookie", names)
        self.assertNotIn("x-own", names)
        self.assertEqual(names["accept-encoding"], "identity")

    def test_ping(self) -> None:
        """C{/v2/} is the registry's own answer, and ours only while it is away."""
        self.one.token = "Bearer alice"
        self.assertEqual(self.ask("/v2/").status, 401)
        self.assertIn("Bearer realm", self.ask("/v2/").fields["www-authenticate"])
        self.assertEqual(self.ask("/v2/", "Authorization: Bearer alice").status, 200)
        self.one.broken = 503
        answer = self.ask("/v2/")
        self.assertEqual((answer.status, answer.body), (200, b"{}"))
        self.assertEqual(answer.fields["docker-distribution-api-version"], "registry/2.0")
        self.assertEqual(self.ask("/v2/", method="HEAD").status, 200)

    def test_the_registrys_own_date(self) -> None:
        """Fields that both sides have are the registry's, once."""
        self.one.extra_fields["server"] = "its own"
        caller = self.caller()
        caller.send(get("/v2/"))
        self.settle()
        head = caller.transport.value().lower()
        self.assertEqual((head.count(b"\r\ndate:"), head.count(b"\r\nserver:")), (1, 1))


class RedirectTests(TreeTestCase):
    """Redirects are followed by us, and never passed on."""

    def test_across_hosts(self) -> None:
        """A blob that lies elsewhere is fetched there, without the client's credentials, and kept."""
        digest = self.one.add_blob(b"content")
        self.one.redirects[f"/v2/team/app/blobs/{digest}"] = "https://two.test/cdn/1?X-Sig=a%2Fb"
        self.two.other = lambda _: b"content"
        for _ in range(2):
            answer = self.ask(f"/v2/team/app/blobs/{digest}", "Authorization: Bearer mine")
            self.assertEqual((answer.status, answer.body), (200, b"content"))
        self.assertEqual(self.one.asked[0].authorization, "Bearer mine")
        self.assertIsNone(self.two.asked[0].authorization)
        self.assertEqual(self.two.asked[0].path, "/cdn/1?X-Sig=a%2Fb")

    def test_relative(self) -> None:
        """A relative redirect is resolved against the URL that sent it, and keeps the credentials."""
        digest = self.one.add_manifest("team/app", "1", MANIFEST)
        self.one.redirects[f"/v2/alias/manifests/{digest}"] = f"../../team/app/manifests/{digest}"
        answer = self.ask(f"/v2/alias/manifests/{digest}", "Authorization: Bearer mine")
        self.assertEqual(answer.body, MANIFEST)
        self.assertEqual({each.authorization for each in self.one.asked}, {"Bearer mine"})

    def test_circle(self) -> None:
        """Who is sent in a circle gives up."""
        self.one.redirects["/v2/a/tags/list"] = "/v2/a/tags/list"
        self.assertEqual(self.ask("/v2/a/tags/list").status, 502)
        self.assertEqual(len(self.one.asked), 11)

    def test_private_content_that_redirects(self) -> None:
        """A right to what lies elsewhere is proven by its first byte, not by a HEAD that the signature does not fit."""
        self.one.token = "Bearer alice"
        digest = self.one.add_blob(b"content")
        self.ask(f"/v2/team/app/blobs/{digest}", "Authorization: Bearer alice")
        self.one.redirects[f"/v2/other/blobs/{digest}"] = "https://two.test/signed?X-Sig=1"
        self.two.other = lambda _: b"content"
        answer = self.ask(f"/v2/other/blobs/{digest}", "Authorization: Bearer alice")
        self.assertEqual((answer.status, answer.fields[STATUS]), (200, "HIT"))
        (asked,) = self.two.asked
        self.assertEqual((asked.method, asked.authorization), ("GET", None))
        self.assertEqual(dict(asked.fields)["Range"], "bytes=0-0")

    def test_a_registry_that_redirects_everything(self) -> None:
        """A redirect proves nothing: what is private stays so, though a registry sends everybody on."""
        self.one.token = "Bearer alice"
        digest = self.one.add_blob(b"secret")
        self.ask(f"/v2/team/app/blobs/{digest}", "Authorization: Bearer alice")
        redirecting, elsewhere = FakeRegistry(), FakeRegistry()
        redirecting.redirects[f"/v2/any/blobs/{digest}"] = "https://elsewhere.test/nothing"
        self.house.index.close()
        internet = FakeInternet(one=self.one, two=redirecting, elsewhere=elsewhere)
        self.house = House(self.root, internet)
        for _ in range(2):
            self.assertEqual(self.ask(f"/v2/any/blobs/{digest}", authority=TWO).status, 404)
        self.assertEqual(self.ask(f"/v2/team/app/blobs/{digest}").status, 401)


class RecordTests(TreeTestCase):
    """What the log is told."""

    def test_facts(self) -> None:
        """A request's registry, repository, reference, digest, kind and result are recorded."""
        digest = self.one.add_manifest("team/app", "1", MANIFEST)
        self.ask("/v2/team/app/manifests/1", "Authorization: Bearer secret")
        (request,) = self.reported
        facts = request.facts
        self.assertEqual(
            (facts.registry, facts.repository, facts.reference, facts.digest, facts.kind, facts.result),
            (ONE, "team/app", "1", str(digest), "manifest", "miss"),
        )
        self.assertEqual((request.code, request.sentLength, request.is_complete), (200, len(MANIFEST), True))

    def test_refusals(self) -> None:
        """A refusal is recorded as one."""
        self.ask("/v2/UPPER/manifests/1")
        self.assertEqual([request.facts.result for request in self.reported], ["refused"])

    def test_a_client_that_leaves(self) -> None:
        """A client that leaves is recorded once, and what it began goes on."""
        self.one.slow = True
        digest = self.one.add_blob(b"0123456789")
        caller = self.caller()
        caller.send(get(f"/v2/team/app/blobs/{digest}"))
        self.settle()
        caller.leave()
        self.assertEqual([request.facts.result for request in caller.reports], ["left"])
        self.one.sending[0].send(10)
        self.settle()
        self.assertTrue(self.house.contents.is_kept(digest))
