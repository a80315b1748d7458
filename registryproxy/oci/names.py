"""Repository and tag: the mutable names of the distribution spec."""

import re

from attrs import frozen

from registryproxy.errors import InvalidName, InvalidTag
from registryproxy.oci.digest import Digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_MAX_REPOSITORY = 255


@frozen(order=True)
class Repository:
    """
    The name of a repository within a registry, slashes included.

    @see: OCI distribution-spec, "Pulling manifests": C{<name>}.
    """

    name: str

    @classmethod
    def parse(cls, text: str) -> "Repository":
        """
        Read a repository name.

        @raise InvalidName: if C{text} does not follow the spec's grammar, or exceeds 255 characters.
        """
        if len(text) > _MAX_REPOSITORY or not _REPOSITORY.fullmatch(text):
            raise InvalidName(
                f"{text[:300]!r} is not a repository name: lower-case letters and digits, joined by . _ - and /"
            )
        return cls(text)

    def __str__(self) -> str:
        """Write it as the spec does."""
        return self.name


@frozen(order=True)
class Tag:
    """
    The name of a manifest that may move.

    @see: OCI distribution-spec, "Pulling manifests": C{<reference>} as a tag.
    """

    name: str

    @classmethod
    def parse(cls, text: str) -> "Tag":
        """
        Read a tag.

        @raise InvalidTag: if C{text} does not follow the spec's grammar.
        """
        if not _TAG.fullmatch(text):
            raise InvalidTag(f"{text[:200]!r} is neither a tag nor a digest")
        return cls(text)

    def __str__(self) -> str:
        """Write it as the spec does."""
        return self.name


Reference = Tag | Digest


def parse_reference(text: str) -> Reference:
    """
    Read the last part of a manifest's path.

    @raise InvalidDigest: if there is a colon, but no digest.
    @raise InvalidTag: if it is neither.
    """
    return Digest.parse(text) if ":" in text else Tag.parse(text)
