"""Tests for L{registryproxy.upstream.client}: redirects, and what goes along."""

from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from registryproxy.errors import BadRedirect
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields
from tests.support.house import ONE
from tests.support.outside import Outside, collected

MINE = Fields(
    (("authorization", "Bearer mine"), ("range", "bytes=5-"), ("cookie", "mine"), ("accept", "a/b"))
)


@frozen
class Seen:
    """One question that some host was asked."""

    method: str
    url: str
    fields: frozenset[str]


class Maze(Resource):
    """
    All hosts at once.

    @ivar ways: from URLs to status and C{Location}.
    """

    isLeaf = True

    def __init__(self) -> None:
        """Begin with no ways: everything is found where it is asked for."""
        Resource.__init__(self)
        self.ways: dict[str, tuple[int, str | None]] = {}
        self.seen: list[Seen] = []

    def render(self, request: Request) -> int:
        """Send the client on, or answer with the URL."""
        scheme = "https" if request.isSecure() else "http"
        host = (request.getHeader("host") or "").lower()
        url = f"{scheme}://{host}{request.uri.decode('ascii')}"
        names = frozenset(name.decode().lower() for name, _ in request.requestHeaders.getAllRawHeaders())
        self.seen.append(Seen(request.method.decode(), url, names))
        status, location = self.ways.get(url, (200, None))
        request.setResponseCode(status)
        if location is not None:
            request.setHeader("location", location)
        request.setHeader("set-cookie", "maze=1")
        body = url.encode()
        request.setHeader("content-length", str(len(body)))
        if request.method != b"HEAD":
            request.write(body)
        request.finish()
        return NOT_DONE_YET


class FollowingTests(SynchronousTestCase):
    """Where it leads."""

    def setUp(self) -> None:
        """Build a maze."""
        self.maze = Maze()
        self.outside = Outside(self.maze)

    def ask(self, method: str = "GET", target: str = "/a", registry: Authority = ONE, **how: Any) -> Any:
        """Ask, and get the answer."""
        return self.successResultOf(self.outside.ask(method, target, registry, MINE, **how))

    def arrived(self, method: str = "GET") -> str:
        """Ask, and return the URL that answered."""
        answer = self.ask(method)
        self.assertEqual(answer.status, 200)
        return self.maze.seen[-1].url if method == "HEAD" else collected(answer).body.decode()

    def refused(self, target: str = "/a?secret") -> str:
        """Ask, and return the sentence with which nothing comes back."""
        return str(self.failureResultOf(self.outside.ask(target=target, fields=MINE), BadRedirect).value)

    def test_every_status(self) -> None:
        """All five redirects are followed, by the same method: a HEAD stays a HEAD, a GET a GET, 303 or not."""
        for status in (301, 302, 303, 307, 308):
            self.maze.ways["https://one.test/a"] = status, "https://cdn.test/b?sig=1%2F;&x="
            for method in ("GET", "HEAD"):
                self.assertEqual(self.arrived(method), "https://cdn.test/b?sig=1%2F;&x=")
                self.assertEqual([each.method for each in self.maze.seen[-2:]], [method, method])

    def test_no_redirects(self) -> None:
        """Other statuses are answers, be there a C{Location} or not."""
        for status in (201, 300, 304, 305, 306, 401):
            self.maze.ways["https://one.test/a"] = status, "https://cdn.test/b"
            self.assertEqual(self.ask().status, status)

    def test_relative_second_hop(self) -> None:
        """A relative C{Location} is resolved against the host that sent it, not the first one."""
        self.maze.ways = {
            "https://one.test/a": (307, "https://region.test/v2/blobs/x"),
            "https://region.test/v2/blobs/x": (302, "/artifacts-downloads/y?z"),
        }
        self.assertEqual(self.arrived(), "https://region.test/artifacts-downloads/y?z")

    def test_ten(self) -> None:
        """Ten in a row are followed, and not eleven."""
        for hop in range(10):
            self.maze.ways[f"https://one.test/{'a' * (hop + 1)}"] = 302, "a" * (hop + 2)
        self.assertEqual(self.arrived(), "https://one.test/" + "a" * 11)
        self.maze.ways["https://one.test/" + "a" * 11] = 302, "/b"
        self.maze.seen.clear()
        self.assertIn("one.test", self.refused("/a"))
        self.assertEqual(len(self.maze.seen), 11)

    def test_circle(self) -> None:
        """A circle ends."""
        self.maze.ways["https://one.test/a?secret"] = 307, ""
        self.assertNotIn("secret", self.refused())

    def test_nowhere(self) -> None:
        """A redirect to nowhere is told in words that name who sent it, and no query."""
        for location in (
            None,
            "ftp://cdn.test/",
            "https://[::1",
            "https://cdn.test:0/?secret",
            "https://u:p@a/",
        ):
            self.maze.ways["https://one.test/a?secret"] = 307, location
            said = self.refused()
            self.assertIn("one.test", said)
            self.assertNotIn("secret", said)

    def test_not_when_it_writes(self) -> None:
        """Whoever writes is told where to, and goes there itself."""
        self.maze.ways["https://one.test/a"] = 307, "https://cdn.test/b"
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = self.ask(method)
            self.assertEqual((answer.status, answer.fields.get("location")), (307, "https://cdn.test/b"))

    def test_not_when_told_not_to(self) -> None:
        """Who wants to know only whether it would be given gets the redirect itself."""
        self.maze.ways["https://one.test/a"] = 307, "https://cdn.test/b"
        self.assertEqual(self.ask("HEAD", follow=False).status, 307)
        self.assertEqual(len(self.maze.seen), 1)

    def test_nothing_of_the_client_crosses(self) -> None:
        """To another host goes what it needs to answer, and nothing that tells who asks, not even back at the first."""
        self.maze.ways = {
            "https://one.test/a": (307, "https://one.test/b"),
            "https://one.test/b": (307, "https://cdn.test/c"),
            "https://cdn.test/c": (307, "https://one.test/d"),
        }
        self.arrived()
        own = {"host", "user-agent", "accept-encoding", "connection"}
        self.assertEqual(
            [each.fields - own for each in self.maze.seen],
            [{"authorization", "range", "cookie", "accept"}] * 2 + [{"range", "accept"}] * 2,
        )

    def test_other_ports_and_schemes_are_other_hosts(self) -> None:
        """Nor to another port of the same host, nor to it without TLS."""
        for location in ("https://one.test:8443/b", "http://one.test/b", "http://one.test:443/b"):
            self.maze.ways["https://one.test/a"] = 307, location
            self.arrived()
            self.assertNotIn("authorization", self.maze.seen[-1].fields)

    def test_cookies_of_a_hop_are_not_kept(self) -> None:
        """What a hop sets as a cookie goes to no other."""
        self.maze.ways["https://one.test/a"] = 307, "https://one.test/b"
        self.successResultOf(self.outside.ask(target="/a"))
        self.assertNotIn("cookie", self.maze.seen[-1].fields)
