"""Digest: the immutable name of content."""

import hashlib
import re
from typing import Protocol

from attrs import frozen

from registryproxy.errors import InvalidDigest

_GRAMMAR = re.compile(r"(?P<algorithm>[a-z0-9]+(?:[.+_-][a-z0-9]+)*):(?P<encoded>[a-zA-Z0-9=_-]+)")
_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_LOWER_HEX = re.compile(r"[0-9a-f]+")
_MAX_LENGTH = 512


class Hasher(Protocol):
    """What C{hashlib} gives."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Tell the digest of all bytes so far, in lower-case hex."""


@frozen(order=True)
class Digest:
    """
    An algorithm and what it says of the content.

    @ivar algorithm: C{sha256} or C{sha512}, or another name that is well formed but not known here.
    @ivar encoded: for the two that are known, 64 or 128 lower-case hex digits.
    @see: OCI image-spec, descriptor.md, "Digests".
    """

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """
        Read a digest as a client or a registry writes it.

        @raise InvalidDigest: if C{text} is anything else, so that no digest that reaches the store can name a
            path outside of it.
        """
        match = _GRAMMAR.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            raise InvalidDigest(f"{text[:100]!r} is not a digest, as in sha256: and 64 hex digits")
        algorithm, encoded = match["algorithm"], match["encoded"]
        length = _HEX_LENGTH.get(algorithm)
        if length is not None and not (len(encoded) == length and _LOWER_HEX.fullmatch(encoded)):
            raise InvalidDigest(f"{text[:100]!r}: {algorithm} is written as {length} lower-case hex digits")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> "Digest":
        """Compute the digest of C{content}."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    @property
    def is_known(self) -> bool:
        """Whether content can be checked against it, and so be kept."""
        return self.algorithm in _HEX_LENGTH

    def hasher(self) -> Hasher:
        """
        Begin to compute a digest of the same algorithm.

        @raise InvalidDigest: if the algorithm is not known.
        """
        if not self.is_known:
            raise InvalidDigest(f"the algorithm {self.algorithm!r} is not known here")
        return hashlib.new(self.algorithm)

    def __str__(self) -> str:
        """Write it as the spec does."""
        return f"{self.algorithm}:{self.encoded}"
