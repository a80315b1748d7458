"""Tests for L{registryproxy.oci.route}."""

from urllib.parse import quote

from hypothesis import given
from hypothesis.strategies import DrawFn as Draw
from hypothesis.strategies import composite, integers, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import ClientError, InvalidDigest, InvalidName, InvalidTag
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.oci.route import (
    BlobRoute,
    ManifestRoute,
    OldApiRoute,
    OtherRoute,
    PingRoute,
    Route,
    parse_route,
)
from tests.support.strategies import clutter, digests, repositories, tags

APP = Repository("team/app")
DIGEST = Digest.of(b"content")


@composite
def escaped(draw: Draw, path: str) -> str:
    """Percent-encode some characters of a path that need it not."""
    return "".join(f"%{ord(character):02x}" if draw(integers(0, 3)) == 0 else character for character in path)


class ParseTests(SynchronousTestCase):
    """What a path asks for."""

    @given(text() | clutter | clutter.map("/v2/{}".format) | clutter.map("/v2/a/manifests/{}".format))
    def test_total(self, path: str) -> None:
        """Any text is a route, or the client's fault."""
        try:
            route = parse_route(path)
        except ClientError as e:
            self.assertIn(e.status, {400, 404})
            return
        self.assertIsInstance(route, Route)

    @given(repositories, tags | digests)
    def test_manifests(self, repository: Repository, reference: Tag | Digest) -> None:
        """Every repository and reference has a manifest's path."""
        route = parse_route(f"/v2/{repository}/manifests/{reference}")
        self.assertEqual(route, ManifestRoute(repository, reference))

    @given(repositories, digests)
    def test_blobs(self, repository: Repository, digest: Digest) -> None:
        """Every repository and digest has a blob's path."""
        self.assertEqual(parse_route(f"/v2/{repository}/blobs/{digest}"), BlobRoute(repository, digest))

    @given(escaped(f"/v2/{APP}/manifests/{DIGEST}"), escaped(f"/v2/{APP}/blobs/{DIGEST}"))
    def test_percent_encoding(self, manifest: str, blob: str) -> None:
        """Characters mean the same percent-encoded: C{sha256%3A}, as some clients write it, and slashes, too."""
        self.assertEqual(parse_route(manifest), ManifestRoute(APP, DIGEST))
        self.assertEqual(parse_route(blob), BlobRoute(APP, DIGEST))

    def test_decoded_once(self) -> None:
        """A percent sign that was encoded itself is none: nothing hides behind two layers."""
        self.assertRaises(InvalidName, parse_route, "/v2/team%252fapp/manifests/latest")
        self.assertRaises(
            InvalidDigest, parse_route, f"/v2/{APP}/blobs/" + quote(quote(str(DIGEST), safe=""))
        )

    def test_ping(self) -> None:
        """The API's root, with its slash or without."""
        self.assertEqual([parse_route("/v2/"), parse_route("/v2")], [PingRoute(), PingRoute()])

    def test_old_api(self) -> None:
        """C{/v1} and all below it."""
        for path in ("/v1", "/v1/", "/v1/_ping", "/v1/repositories/library/alpine/images", "/%761/search"):
            self.assertEqual(parse_route(path), OldApiRoute())
        self.assertEqual(parse_route("/v10"), OtherRoute())

    def test_names_like_words_of_the_api(self) -> None:
        """A repository may be called like a word of the API; the last such word counts."""
        for name in ("blobs", "manifests", "a/manifests/b", "blobs/uploads", "tags/list", "v2", "v1"):
            self.assertEqual(
                parse_route(f"/v2/{name}/manifests/latest"), ManifestRoute(Repository(name), Tag("latest"))
            )
            self.assertEqual(parse_route(f"/v2/{name}/blobs/{DIGEST}"), BlobRoute(Repository(name), DIGEST))

    def test_digests_of_all_sorts(self) -> None:
        """Digests of sha512 are known, well-formed ones of other algorithms are left to the leaf."""
        for digest in (Digest.of(b"", "sha512"), Digest("md5", "abc")):
            self.assertEqual(parse_route(f"/v2/a/blobs/{digest}"), BlobRoute(Repository("a"), digest))
            self.assertEqual(parse_route(f"/v2/a/manifests/{digest}"), ManifestRoute(Repository("a"), digest))

    def test_others_of_a_repository(self) -> None:
        """Lists of tags, referrers and uploads belong to their repository."""
        for rest in (
            "tags/list",
            f"referrers/{DIGEST}",
            "blobs/uploads",
            "blobs/uploads/",
            "blobs/uploads/7-f",
        ):
            self.assertEqual(parse_route(f"/v2/{APP}/{rest}"), OtherRoute(APP))

    def test_others(self) -> None:
        """All else is passed on: the catalog, tokens, what later specs bring."""
        for path in (
            "/",
            "/token",
            "/v2/auth",
            "/v2/_catalog",
            "/v2/a/b/c",
            "/V2/",
            "/service/token",
            "//v2/",
        ):
            self.assertEqual(parse_route(path), OtherRoute())

    def test_malformed(self) -> None:
        """What the grammar does not have is the fault of what is malformed."""
        for path, fault in (
            ("/v2/Team/manifests/latest", InvalidName),
            ("/v2//manifests/latest", InvalidName),
            ("/v2/a//b/blobs/" + str(DIGEST), InvalidName),
            ("/v2/Team/tags/list", InvalidName),
            ("/v2/Team/blobs/uploads/", InvalidName),
            (f"/v2/{'a' * 256}/manifests/latest", InvalidName),
            ("/v2/a/manifests/", InvalidTag),
            ("/v2/a/manifests/-x", InvalidTag),
            ("/v2/a/manifests/a%00b", InvalidName),
            ("/v2/a/manifests/a%3fb", InvalidTag),
            ("/v2/a/manifests/sha256:abc", InvalidDigest),
            ("/v2/a/blobs/latest", InvalidDigest),
            ("/v2/a/blobs/", InvalidDigest),
            ("/v2/a/blobs/sha256:" + "0" * 63, InvalidDigest),
            ("/v2/a/referrers/latest", InvalidDigest),
            ("/v2/a/referrers/", InvalidDigest),
        ):
            refused = self.assertRaises(fault, parse_route, path)
            self.assertIsInstance(refused, ClientError)

    @given(sampled_from([".", "..", "%2e", "%2e%2e", ".%2E", "%2E."]), sampled_from(["/", "%2f"]))
    def test_dot_segments(self, dots: str, slash: str) -> None:
        """No path with a dot segment is a route, wherever it stands and however it is written."""
        for path in (
            *(f"/v2/{dots}{slash}manifests/latest", f"/v2/a{slash}{dots}", f"/{dots}", f"/{dots}/etc/passwd"),
            *(
                f"/v2/a/manifests{slash}{dots}",
                f"/v2/a/blobs{slash}{dots}{slash}x",
                f"/token{slash}{dots}{slash}",
            ),
        ):
            self.assertRaises(InvalidName, parse_route, path)

    def test_unseemly_characters(self) -> None:
        """No path with a control character, a space or a backslash is a route, however it is written."""
        for character in (*map(chr, range(33)), "\x7f", "\\"):
            for written in (character, f"%{ord(character):02X}"):
                self.assertRaises(InvalidName, parse_route, f"/v2/a{written}/manifests/latest")
                self.assertRaises(InvalidName, parse_route, f"/token{written}")

    def test_no_path(self) -> None:
        """What does not begin with a slash is no path."""
        for path in ("", "*", "v2/", "https://quay.io/v2/", ".evil.test/", "@evil.test/", ":8080/"):
            self.assertRaises(InvalidName, parse_route, path)

    def test_quick_with_the_worst(self) -> None:
        """A path as long as a line may be, full of words of the API, costs no time to speak of."""
        for path in ("/v2/" + "a/blobs/" * 8000, "/v2" + "/manifests/a" * 5000 + "/", "/" * 65536):
            try:
                parse_route(path)
            except ClientError as e:
                self.assertLess(len(str(e)), 500)
