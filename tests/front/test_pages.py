"""Tests for L{registryproxy.front.pages}."""

import json
import re
from base64 import b64encode
from collections.abc import Collection
from hashlib import sha256

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.errors import CAUnusable
from registryproxy.front.pages import make_pages
from tests.support.caller import Answer, Caller, get

DER = b"as if it were a certificate"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n" + b64encode(DER) + b"\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\n" + b64encode(b"secret") + b"\n-----END PRIVATE KEY-----\n"
PATHS = ("/", "/ca.crt", "/setup/systemd", "/livez", "/readyz")
HTML = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


@define
class Plain:
    """The plain port, and a client of it."""

    reasons: list[str] = field(factory=list)
    own_names: Collection[str] = ()
    address: IPv4Address | IPv6Address = field(factory=lambda: IPv4Address("TCP", "192.0.2.7", 3128))
    certificate: bytes = CERTIFICATE

    def ask(self, target: str, *fields: str, method: str = "GET", host: str = "proxy:3128") -> Answer:
        """Ask, and read the one answer."""
        transport = StringTransport(hostAddress=self.address)
        pages = make_pages(self.certificate, lambda: self.reasons, self.own_names)
        caller = Caller(pages, transport=transport)
        request = get(target, *fields, method=method).replace(
            b"Host: h\r\n", f"Host: {host}\r\n".encode("latin-1")
        )
        (answer,) = caller.ask(request, method)
        return answer


class PagesTests(SynchronousTestCase):
    """What every page has in common."""

    def test_all_are_there(self) -> None:
        """Each page is served, with its length."""
        for path in PATHS:
            answer = Plain().ask(path)
            self.assertEqual(
                (answer.status, answer.fields["content-length"]), (200, str(len(answer.body))), path
            )

    def test_head(self) -> None:
        """HEAD tells just what GET does, without the body."""
        for path in (*PATHS, "/nowhere", "/v2/"):
            for accept in ("Accept: */*", HTML):
                whole, head = Plain().ask(path, accept), Plain().ask(path, accept, method="HEAD")
                self.assertEqual(
                    (head.status, head.fields, head.body), (whole.status, whole.fields, b""), path
                )

    def test_other_methods(self) -> None:
        """Pages are only read."""
        for path in PATHS:
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
                answer = Plain().ask(path, method=method)
                self.assertEqual((answer.status, answer.fields["allow"]), (405, "GET, HEAD"), (path, method))

    def test_nothing_there(self) -> None:
        """Of other paths the client is told in a sentence that they are not there, whatever its method."""
        for path in (
            "/nowhere",
            "/setup",
            "/setup/",
            "/setup/x",
            "/ca.crt/",
            "/livez/x",
            "//",
            "/%2e%2e/x",
            "/ca.key",
            "/v1/",
        ):
            for method in ("GET", "POST"):
                answer = Plain().ask(path, method=method)
                self.assertEqual(
                    (answer.status, answer.fields["content-type"]), (404, "text/plain; charset=utf-8")
                )
                self.assertRegex(answer.body, rb"\AThere is nothing at /.*\.\n\Z")

    def test_not_stored(self) -> None:
        """What says how we are just now is stored by nobody on the way."""
        for path in (*PATHS, "/nowhere", "/v2/"):
            expected = "no-cache" if path == "/ca.crt" else "no-store"
            self.assertEqual(Plain().ask(path).fields["cache-control"], expected, path)

    def test_not_sniffed(self) -> None:
        """No browser takes a page for anything but what it says it is."""
        for path in (*PATHS, "/nowhere"):
            answer = Plain().ask(path)
            self.assertEqual(answer.fields["x-content-type-options"], "nosniff")
            self.assertIn("content-type", answer.fields)


class WelcomeTests(SynchronousTestCase):
    """The page at the root."""

    def page(self, host: str = "proxy:3128", plain: Plain | None = None) -> str:
        """Read it as a person does."""
        answer = (Plain() if plain is None else plain).ask("/", HTML, host=host)
        self.assertEqual(answer.fields["content-type"], "text/html; charset=utf-8")
        return answer.body.decode()

    def test_curl(self) -> None:
        """Programs get one line."""
        for fields in ((), ("Accept: */*",)):
            answer = Plain().ask("/", *fields)
            self.assertEqual(answer.body, b"registryproxy: the caching proxy is working\n")
            self.assertEqual(answer.fields["content-type"], "text/plain; charset=utf-8")

    def test_person(self) -> None:
        """A person is told how to point Docker here, by the address at which this proxy was reached."""
        page = self.page("cache.corp:3128")
        self.assertIn("curl -fsS http://cache.corp:3128/setup/systemd | sudo sh", page)
        self.assertIn("HTTPS_PROXY=http://cache.corp:3128/", page)
        for path in ("/ca.crt", "/setup/systemd", "/livez", "/readyz"):
            self.assertIn(f'href="{path}"', page)

    def test_without_a_port(self) -> None:
        """A host alone means the port of http."""
        self.assertIn("HTTPS_PROXY=http://cache.corp:80/", self.page("cache.corp"))

    def test_hostile_host(self) -> None:
        """What is no host and port never gets into the page; the address of the socket stands in its place."""
        for host in (
            "<script>alert(1)</script>",
            '"><b>',
            "a b",
            "evil.example/x",
            "x@evil.example",
            "$address",
        ):
            page = self.page(host)
            self.assertNotIn(host, page)
            self.assertIn("http://192.0.2.7:3128/", page)

    def test_ipv6(self) -> None:
        """An IPv6 address stands in brackets; IPv4 in the clothes of IPv6 is IPv4."""
        for address, shown in (("2001:db8::7", "[2001:db8::7]"), ("::ffff:192.0.2.9", "192.0.2.9")):
            plain = Plain(address=IPv6Address("TCP", address, 3128))
            self.assertIn(f"http://{shown}:3128/", self.page("not a host", plain))

    def test_self_contained(self) -> None:
        """The page loads nothing, runs nothing, and its policy allows its own style alone."""
        answer = Plain().ask("/", HTML)
        page, policy = answer.body.decode(), answer.fields["content-security-policy"]
        style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
        assert style is not None
        digest = b64encode(sha256(style[1].encode()).digest()).decode()
        self.assertTrue(policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';"), policy)
        self.assertNotRegex(page, r"<script|<link|<img|<iframe|@import|url\(|\bon\w+=|style=")

    def test_dark_and_small(self) -> None:
        """The page has colours for the dark, and fits a phone."""
        self.assertIn("prefers-color-scheme: dark", self.page())
        self.assertIn('name="viewport" content="width=device-width', self.page())

    def test_fingerprint(self) -> None:
        """The page shows the certificate's fingerprint, for those who compare."""
        self.assertIn(sha256(DER).digest().hex(":").upper(), self.page())

    def test_two_faces(self) -> None:
        """Both faces of the page say that they depend on what is accepted."""
        self.assertEqual(
            [Plain().ask("/", *each).fields["vary"] for each in ((), (HTML,))], ["Accept", "Accept"]
        )


class CertificateTests(SynchronousTestCase):
    """The page with the certificate."""

    def test_certificate(self) -> None:
        """The certificate is given as it is, as a file of that type."""
        answer = Plain().ask("/ca.crt")
        self.assertEqual(
            (answer.body, answer.fields["content-type"]), (CERTIFICATE, "application/x-x509-ca-cert")
        )
        self.assertEqual(answer.fields["content-disposition"], 'attachment; filename="registryproxy.crt"')

    def test_never_a_key(self) -> None:
        """Even if we were handed the key along with the certificate, it is not served."""
        for pem in (KEY + CERTIFICATE, CERTIFICATE + KEY):
            self.assertEqual(Plain(certificate=pem).ask("/ca.crt").body, CERTIFICATE)

    def test_chain(self) -> None:
        """Several certificates are all given."""
        self.assertEqual(Plain(certificate=CERTIFICATE * 2).ask("/ca.crt").body, CERTIFICATE * 2)

    def test_no_certificate(self) -> None:
        """Without a certificate there are no pages."""
        for pem in (b"", KEY, DER):
            self.assertRaises(CAUnusable, make_pages, pem, list)


class HealthTests(SynchronousTestCase):
    """The pages for machines."""

    def test_alive(self) -> None:
        """We are alive, whether we can serve or not."""
        self.assertEqual(Plain(["the disk is full"]).ask("/livez").body, b"ok\n")

    def test_ready(self) -> None:
        """Without a reason against it we are ready."""
        self.assertEqual(Plain().ask("/readyz").body, b"ready\n")

    def test_not_ready(self) -> None:
        """With reasons we are not, and each has its line."""
        answer = Plain(["the disk is full", "the certificate has ended"]).ask("/readyz")
        self.assertEqual(
            (answer.status, answer.body), (503, b"the disk is full\nthe certificate has ended\n")
        )


class NotHereTests(SynchronousTestCase):
    """What others serve, and we do not."""

    def test_no_mirror(self) -> None:
        """A client that takes us for a mirror is told, as registries tell, how we are used."""
        for path in ("/v2", "/v2/", "/v2/library/alpine/manifests/latest?ns=docker.io"):
            for method in ("GET", "POST"):
                answer = Plain().ask(path, method=method)
                self.assertEqual((answer.status, answer.fields["content-type"]), (404, "application/json"))
                (error,) = json.loads(answer.body)["errors"]
                self.assertEqual(error["code"], "UNSUPPORTED")
                self.assertIn("HTTPS_PROXY", error["message"])

    def test_no_plain_http(self) -> None:
        """A client that wants plain HTTP relayed is refused, even where the path is one of ours."""
        for host in (
            "downloads.example.org",
            "downloads.example.org:3128",
            "192.0.2.8:3128",
            "192.0.2.7",
            "localhost:3128",
            "x y",
            "",
        ):
            for path in ("/", "/ca.crt", "/setup/systemd", "/debian/dists"):
                answer = Plain().ask(f"http://{host}{path}".replace(" ", "%20"), host=host)
                self.assertEqual(answer.status, 403, (host, path))
                self.assertIn(b"HTTPS_PROXY", answer.body)

    def test_ourselves_by_way_of_ourselves(self) -> None:
        """A client that is set to use us for plain HTTP, too, still reaches our own pages."""
        for plain, host in (
            (Plain(), "192.0.2.7:3128"),
            (Plain(own_names={"cache.corp"}), "Cache.Corp:3128"),
            (Plain(address=IPv4Address("TCP", "127.0.0.1", 3128)), "localhost:3128"),
            (Plain(address=IPv4Address("TCP", "192.0.2.7", 80)), "192.0.2.7"),
        ):
            self.assertEqual(plain.ask(f"http://{host}/livez", host=host).body, b"ok\n", host)

    def test_our_name_is_the_targets(self) -> None:
        """With a target in absolute form, Host counts for nothing."""
        script = Plain().ask("http://192.0.2.7:3128/setup/systemd", host="elsewhere:1").body
        self.assertIn(b"http://192.0.2.7:3128/ca.crt", script)
        self.assertNotIn(b"elsewhere", script)


class SetupPageTests(SynchronousTestCase):
    """The page with the script."""

    def test_address(self) -> None:
        """The script has the address at which this proxy was reached, everywhere."""
        answer = Plain().ask("/setup/systemd", host="cache.corp:8080")
        self.assertIn(b'Environment="HTTPS_PROXY=http://cache.corp:8080/"\n', answer.body)
        self.assertNotIn(b"@PROXY@", answer.body)
        self.assertEqual(answer.fields["content-type"], "text/plain; charset=utf-8")

    def test_hostile_host(self) -> None:
        """What is no host and port is refused, and no script is made of it."""
        for host in (
            "$(reboot)",
            "`id`",
            "a;b",
            "a'b",
            'a"b',
            "a b",
            "a%h",
            "a\\b",
            "a|b",
            "x/../y",
            "a\tb",
            "-f:1",
            "@PROXY@",
        ):
            answer = Plain().ask("/setup/systemd", host=host)
            self.assertEqual(
                (answer.status, answer.fields["content-type"]), (400, "text/plain; charset=utf-8"), host
            )

    def test_no_host(self) -> None:
        """A client that says nothing is given the address of the socket."""
        self.assertIn(b"http://192.0.2.7:3128/ca.crt", Plain().ask("/setup/systemd", host="").body)
