"""The plain pages: what is served on the proxy's port without CONNECT."""

import html
import re
from base64 import b64encode
from collections.abc import Callable, Collection
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from ipaddress import ip_address
from ssl import PEM_cert_to_DER_cert
from string import Template

from attrs import frozen
from twisted.web.resource import Resource
from twisted.web.server import Request

from registryproxy.errors import CAUnusable, ClientError, Forbidden, InvalidAuthority, NoSuchPath, oci_error
from registryproxy.front.setup import render_systemd
from registryproxy.wire.authority import Authority, host_of

WORKING = "registryproxy: the caching proxy is working"
"""What C{curl} is told at the root."""

_HTTP_PORT = 80
_TEXT = "text/plain; charset=utf-8"
_NO_STORE = ("Cache-Control", "no-store")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\r?\n.+?-----END CERTIFICATE-----\r?\n?", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


@frozen
class Page:
    """
    An answer that is at hand.

    @ivar fields: besides its type and length.
    """

    body: bytes
    content_type: str = _TEXT
    status: int = HTTPStatus.OK
    fields: tuple[tuple[str, str], ...] = (_NO_STORE,)

    @classmethod
    def text(cls, sentence: str, status: int = HTTPStatus.OK) -> "Page":
        """Make a page of one or more lines."""
        return cls(sentence.encode() + b"\n", status=status)


PageMaker = Callable[[Request], Page]


class PageResource(Resource):
    """A leaf that makes its page for whoever asks; what lies below it is not there."""

    isLeaf = True

    def __init__(self, make: PageMaker) -> None:
        """
        Answer with what C{make} makes.

        @param make: may raise L{ClientError}.
        """
        Resource.__init__(self)
        self._make = make

    def render(self, request: Request) -> bytes:
        """Answer GET and HEAD."""
        try:
            page = self._page(request)
        except ClientError as e:
            page = Page.text(str(e), e.status)
        request.setResponseCode(page.status)
        request.setHeader("Content-Type", page.content_type)
        request.setHeader("Content-Length", str(len(page.body)))
        request.setHeader("X-Content-Type-Options", "nosniff")
        for name, value in page.fields:
            request.setHeader(name, value)
        return b"" if request.method == b"HEAD" else page.body

    def _page(self, request: Request) -> Page:
        if request.postpath:
            raise _nothing_at(request)
        if request.method not in {b"GET", b"HEAD"}:
            return Page(
                b"Only GET and HEAD are answered here.\n",
                status=HTTPStatus.METHOD_NOT_ALLOWED,
                fields=(_NO_STORE, ("Allow", "GET, HEAD")),
            )
        return self._make(request)


class EveryPath(PageResource):
    """A leaf that makes the same page for each method, and for all that lies below it."""

    def _page(self, request: Request) -> Page:
        return self._make(request)


class Folder(Resource):
    """A part of the tree; what is not in it is told in a sentence."""

    def __init__(self) -> None:
        """Begin with no pages."""
        Resource.__init__(self)

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        """Answer for what is not there."""
        return EveryPath(_not_here)

    def render(self, request: Request) -> bytes:
        """Answer for the folder itself, which is no page."""
        return EveryPath(_not_here).render(request)


class Pages(Folder):
    """The root, which lets nobody use us as a proxy for plain HTTP."""

    def __init__(self, own_names: Collection[str]) -> None:
        """
        Begin with no pages.

        @param own_names: by which we are reached besides our address, in lower case.
        """
        Folder.__init__(self)
        self._own_names = frozenset(own_names)

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        """Find a page, unless the client means somebody else's."""
        named: str | None = getattr(request, "absolute_authority", None)
        if named is not None and not self._is_ours(named, request):
            return EveryPath(_not_relayed)
        child: Resource = Resource.getChildWithDefault(self, path, request)
        return child

    def _is_ours(self, named: str, request: Request) -> bool:
        ours = _socket_address(request)
        try:
            theirs = Authority.parse(named, _HTTP_PORT)
        except InvalidAuthority:
            return False
        if ours is None or theirs.port != ours.port:
            return False
        # localhost is the client's; it is ours only for one that came that way
        is_local = theirs.host == "localhost" and ours.is_address and ip_address(ours.host).is_loopback
        return theirs.host == ours.host or theirs.host in self._own_names or is_local


def make_pages(
    certificate_pem: bytes, is_ready: Callable[[], list[str]], own_names: Collection[str] = ()
) -> Pages:
    """
    Build the tree of the plain port.

    @param certificate_pem: of the authority that clients are to trust; nothing but certificates is taken from it.
    @param is_ready: tells in one sentence each why we cannot serve; nothing when we can.
    @param own_names: by which we are reached besides our address, as the name of the machine.
    @raise CAUnusable: if there is no certificate.
    """
    certificates = _CERTIFICATE.findall(certificate_pem)
    if not certificates:
        raise CAUnusable("the certificate of the authority is not in PEM format")
    root = Pages(own_names)
    setup = Folder()
    root.putChild(b"", PageResource(_welcome(certificates[0])))
    root.putChild(b"ca.crt", PageResource(_certificate_page(b"".join(certificates))))
    root.putChild(b"setup", setup)
    setup.putChild(b"systemd", PageResource(lambda request: Page(render_systemd(our_address(request)))))
    root.putChild(b"livez", PageResource(lambda _: Page.text("ok")))
    root.putChild(b"readyz", PageResource(lambda _: _readiness(is_ready())))
    root.putChild(b"v2", EveryPath(_no_mirror))
    return root


def our_address(request: Request) -> Authority:
    """
    Tell where the client has reached us, by its own word, or else by the socket.

    @raise InvalidAuthority: if its word is no host and port: it must not get into a script.
    """
    named: str | None = getattr(request, "absolute_authority", None) or request.getHeader("host")
    if named:
        return Authority.parse(named, _HTTP_PORT)
    ours = _socket_address(request)
    if ours is None:
        raise InvalidAuthority("the request lacks a Host")
    return ours


def _socket_address(request: Request) -> Authority | None:
    """Tell our end of the connection, where that is an address and a port."""
    address = request.getHost()
    host, port = host_of(address), getattr(address, "port", None)
    try:
        return Authority.parse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except InvalidAuthority:
        return None


def _welcome(certificate: bytes) -> PageMaker:
    template = files("registryproxy.front").joinpath("welcome.html").read_text(encoding="utf-8")
    style = _STYLE.search(template)
    allowed = (
        "'none'" if style is None else f"'sha256-{b64encode(sha256(style[1].encode()).digest()).decode()}'"
    )
    fields = (
        _NO_STORE,
        (
            "Content-Security-Policy",
            f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("Referrer-Policy", "no-referrer"),
        ("Vary", "Accept"),
    )
    fingerprint = sha256(PEM_cert_to_DER_cert(certificate.decode("ascii").strip())).digest().hex(":").upper()

    def make(request: Request) -> Page:
        if "text/html" not in (request.getHeader("accept") or "").lower():
            return Page(WORKING.encode() + b"\n", fields=(_NO_STORE, ("Vary", "Accept")))
        try:
            address = our_address(request)
        except InvalidAuthority:
            address = _socket_address(request) or Authority("localhost", _HTTP_PORT)
        text = Template(template).substitute(address=html.escape(str(address)), fingerprint=fingerprint)
        return Page(text.encode(), "text/html; charset=utf-8", fields=fields)

    return make


def _certificate_page(certificates: bytes) -> PageMaker:
    page = Page(
        certificates,
        "application/x-x509-ca-cert",
        fields=(
            ("Content-Disposition", 'attachment; filename="registryproxy.crt"'),
            ("Cache-Control", "no-cache"),
        ),
    )
    return lambda _: page


def _readiness(reasons: list[str]) -> Page:
    return Page.text("\n".join(reasons), HTTPStatus.SERVICE_UNAVAILABLE) if reasons else Page.text("ready")


def _no_mirror(request: Request) -> Page:  # noqa: ARG001
    sentence = (
        "this proxy is not a registry mirror in this version:"
        " use it as HTTPS_PROXY, and leave the names of images as they are"
    )
    return Page(oci_error("UNSUPPORTED", sentence), "application/json", HTTPStatus.NOT_FOUND)


def _not_relayed(request: Request) -> Page:  # noqa: ARG001
    raise Forbidden(
        "This proxy relays HTTPS, asked for by CONNECT, and no plain HTTP:"
        " set HTTPS_PROXY to it, and HTTP_PROXY to none or another."
    )


def _not_here(request: Request) -> Page:
    raise _nothing_at(request)


def _nothing_at(request: Request) -> NoSuchPath:
    path = (request.path or b"").decode("ascii", "replace")[:200]
    return NoSuchPath(f"There is nothing at {path}; the page at / tells what is here.")
