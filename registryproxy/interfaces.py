"""
What the rooms of the house may ask of each other.

Everything here is documented here only; whoever implements it adds nothing to the promise.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from zope.interface import Attribute, Interface

from registryproxy.oci.accept import Accept
from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag
from registryproxy.policy.outcome import CacheType, Outcome
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields

T = TypeVar("T")
Awaited = Coroutine["Deferred[Any]", Any, T]

InThread = Callable[..., "Deferred[Any]"]
"""Runs C{callable(*args)} where it may block, and fires with its result: C{deferToThreadPool}, partly applied."""


# The errand: one client's request, on its way through the house.


@define(eq=False)
class Errand:
    """
    One request for something of one registry.

    @ivar registry: the authority of the CONNECT; what C{Host} says counts for nothing.
    @ivar method: C{GET} or C{HEAD}, or another that only L{IPull.pass_through} is asked with.
    @ivar target: path and query as they stood in the request.
    @ivar fields: the client's own header fields.
    @ivar accept: what kinds of manifest the client takes.
    @ivar upstream_seconds: how long registries were waited for, added up on the way.
    """

    registry: Authority
    method: str
    target: str = field(repr=False)
    fields: Fields = field(factory=Fields, repr=False)
    accept: Accept = field(factory=Accept)
    upstream_seconds: float = field(default=0.0, init=False)

    @property
    def authorization(self) -> str | None:
        """The client's own credentials for the registry."""
        return self.fields.get("authorization")


# The store.


class IBlobSource(Interface):
    """
    Content that can be read while, perhaps, it still arrives.

    Whoever is given one must close it.
    """

    digest: Digest = Attribute("What the content is named.")
    size: int | None = Attribute("Bytes in all; None while nobody knows.")
    is_whole: bool = Attribute("Whether all of it is there, and verified.")

    def read(offset: int, count: int) -> bytes:
        """
        Read at most C{count} bytes from C{offset}: empty when nothing is readable there yet, or at the end.

        @raise ContentMismatch: if the file on disk has become shorter than it was.
        """

    def when_beyond(offset: int) -> "Deferred[None]":
        """
        Fire as soon as there is a byte to read at C{offset}, or the content has ended at or before it.

        The last byte is held back until all bytes are verified.  Each call gives a Deferred of its own, which
        may be cancelled.

        Fails with L{UpstreamError} when the rest will never come.
        """

    def close() -> None:
        """Let go of the file; twice is once."""


class IBlobWriter(Interface):
    """
    Content on its way into the store; nothing is visible under its digest until L{publish} has returned.

    L{append}, L{verify} and L{publish} block, and are called from one thread at a time; the rest is the reactor's.
    """

    received: int = Attribute("Bytes appended so far.")

    def append(data: bytes) -> None:
        """
        Write and hash C{data}.

        @raise StoreUnavailable: if the disk does not take it.
        """

    def verify() -> None:
        """
        Compare what was appended with the digest.

        @raise ContentMismatch: if they do not agree; the message has both.
        """

    def publish() -> None:
        """
        Make verified content appear under its digest, durably.

        @raise StoreUnavailable: if the disk does not take it.
        """

    def abandon() -> None:
        """
        Let go: drop what was not published, and let another writer begin; twice is once.

        Until then L{open_reader} works, also after L{publish}.
        """

    def open_reader() -> int:
        """Return a file descriptor of the reader's own on the growing file."""


class IBlobStore(Interface):
    """Verified content by digest."""

    def find(digest: Digest) -> IBlobSource | None:
        """Open what is kept under C{digest}, or return nothing."""

    def size(digest: Digest) -> int | None:
        """Tell the bytes kept under C{digest}, without opening it, or nothing."""

    def begin(digest: Digest) -> IBlobWriter:
        """
        Open a writer for content that is not kept.

        @raise StoreUnavailable: if the disk does not let us, or another process is writing it.
        """


@frozen
class TagRecord:
    """
    What a tag meant, and when we were told.

    @ivar media_type: of the manifest, as the registry wrote it, without parameters.
    @ivar size: of the manifest in bytes, where the registry told.
    @ivar asked_at: POSIX seconds of the registry's last word on it.
    """

    digest: Digest
    media_type: str
    size: int | None
    asked_at: float


class IIndex(Interface):
    """
    What the files themselves do not say.

    It is derivable or can be asked for again, so that a write that fails is logged and is no error.
    """

    def tag(registry: Authority, repository: Repository, tag: Tag, group: str) -> TagRecord | None:
        """Look up what a tag means to clients of an Accept class."""

    def tag_of_any_group(registry: Authority, repository: Repository, tag: Tag) -> list[TagRecord]:
        """Look up what a tag means to clients of whatever class, the newest word first."""

    def note_tag(
        registry: Authority, repository: Repository, tag: Tag, group: str, record: TagRecord
    ) -> None:
        """Remember what a tag means."""

    def forget_tag(registry: Authority, repository: Repository, tag: Tag) -> None:
        """Forget a tag for every class, for the registry says that there is none."""

    def media_type(registry: Authority, repository: Repository, digest: Digest) -> str | None:
        """Tell what type the registry gave this manifest, or, where it was never asked, another registry."""

    def is_public(digest: Digest) -> bool:
        """Tell whether some registry gave this content to somebody without credentials."""

    def holds(registry: Authority, repository: Repository, digest: Digest) -> bool:
        """Tell whether the registry has given this content as a part of that repository."""

    def note_held(
        registry: Authority, repository: Repository, digest: Digest, media_type: str | None, public: bool
    ) -> None:
        """
        Remember that a repository holds content; what is public once stays so.

        @param media_type: for manifests.
        """

    def close() -> None:
        """Write out what is pending."""


# Upstream.


class IUpstreamAnswer(Interface):
    """
    The head of a registry's answer, its body still to come.

    Whoever is given one must call L{deliver} or L{abandon}.
    """

    status: int = Attribute("The status code.")
    fields: Fields = Attribute("The header fields, hop-by-hop ones included.")
    length: int | None = Attribute(
        "Content-Length, that of the GET body for a HEAD; None where none was sent."
    )

    def deliver(protocol: IProtocol) -> None:
        """
        Hand the body to a protocol, whose transport is an C{IPushProducer}.

        Its C{connectionLost} gets C{ResponseDone} when the body ended well, or C{PotentialDataLoss} when it
        ended by closing; or else L{UpstreamUnavailable} or L{UpstreamSilent}.
        """

    def abandon() -> None:
        """Close the connection rather than read the body."""


class IUpstream(Interface):
    """The registries, as we are allowed to ask them; redirects are followed here."""

    def ask(
        method: str, registry: Authority, target: str, fields: Fields, follow: bool = True
    ) -> Awaited[IUpstreamAnswer]:
        """
        Ask a registry, and wait for the head of its answer; any status is an answer.

        @param target: path and query, sent as they are.
        @param fields: sent as they are to the registry; to another host that it redirects to, only those that
            say nothing about the client.
        @param follow: whether redirects are followed; if not, a redirect is an answer like any other.
        @raise UpstreamUnavailable: if the registry cannot be found, reached or trusted, or breaks off.
        @raise UpstreamSilent: if it does not answer in time.
        @raise BadRedirect: if it sends us in a circle or to nowhere.
        """


# Pull-through.


@frozen
class Given:
    """
    An answer of the cache's own.

    @ivar media_type: without parameters.
    @ivar size: bytes of the content; None where nobody knows yet.
    @ivar source: the content; None in answer to a HEAD.
    """

    digest: Digest
    media_type: str
    size: int | None
    source: IBlobSource | None
    outcome: Outcome
    cache_type: CacheType


@frozen
class Relayed:
    """
    A registry's answer, to be passed on as it is.

    @ivar cache_type: set where the content would have been kept, had it been given.
    """

    answer: IUpstreamAnswer
    cache_type: CacheType | None = None


class IPull(Interface):
    """What clients may have, from wherever it comes."""

    def blob(errand: Errand, repository: Repository, digest: Digest) -> Awaited[Given | Relayed]:
        """
        Give a blob.

        @raise UpstreamError: if it is not kept and cannot be had.
        """

    def manifest(errand: Errand, repository: Repository, digest: Digest) -> Awaited[Given | Relayed]:
        """
        Give a manifest by its digest.

        @raise UpstreamError: if it is not kept and cannot be had.
        """

    def tagged(errand: Errand, repository: Repository, tag: Tag) -> Awaited[Given | Relayed]:
        """
        Give the manifest that a tag means now.

        @raise UpstreamError: if nothing is kept and nothing can be had.
        """

    def ping(errand: Errand) -> Awaited[Relayed | None]:
        """Ask the registry whether it is there; nothing, where it is not and we answer for it."""

    def pass_through(errand: Errand) -> Awaited[Relayed]:
        """
        Ask the registry just what the client asks, and keep nothing.

        @raise UpstreamError: if it cannot be asked.
        """


# The certificate authority.


class ILeafMint(Interface):
    """Leaf certificates for the hosts that we stand in for."""

    certificate_pem: bytes = Attribute(
        "The authority's certificate, as clients are to trust it. Never a key."
    )

    def context_for(host: str) -> Any:
        """
        Return the C{OpenSSL.SSL.Context} of a server that proves to be C{host}, ALPN http/1.1.

        Contexts are shared, and must not be changed.

        @param host: a DNS name or an IP address without brackets.
        """
