"""What kinds of manifest a client takes: the part of its Accept that a registry's answer depends on."""

from collections.abc import Iterable

from attrs import frozen

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
# Signed in a way that changes the bytes under the digest; passed through, never kept.
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

# What is asked for where the answer is kept for clients of every kind.
EVERY_KIND = (OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST, "*/*")

_LETTERS = {DOCKER_MANIFEST: "d", DOCKER_INDEX: "D", OCI_MANIFEST: "o", OCI_INDEX: "O"}
_ANY = "*"


@frozen
class Accept:
    """
    The media ranges of an C{Accept} header.

    @ivar ranges: in lower case, without parameters, sorted; empty where the client sent none.
    @see: RFC 9110, section 12.5.1; distribution-spec, "Pulling manifests".
    """

    ranges: tuple[str, ...] = ()

    @classmethod
    def parse(cls, values: Iterable[str]) -> "Accept":
        """
        Read the values of all C{Accept} fields; a range of weight zero is left out.

        Whatever cannot be read is no error: it is a range that no manifest fits.
        """
        ranges = set()
        for value in values:
            for member in value.split(","):
                media_range, *parameters = (part.strip().lower() for part in member.split(";"))
                if media_range and not any(_is_zero(parameter) for parameter in parameters):
                    ranges.add(media_range)
        return cls(tuple(sorted(ranges)))

    @property
    def group(self) -> str:
        """
        The Accept class: clients of one class get the same manifest for one tag.

        A letter for each of the four kinds of manifest that is named, and a star where others are taken as
        well; but who names all four takes every image of today, and the star no longer matters.
        """
        named = "".join(sorted(letter for kind, letter in _LETTERS.items() if kind in self.ranges))
        if len(named) == len(_LETTERS) or not self._takes_others:
            return named
        return named + _ANY

    @property
    def _takes_others(self) -> bool:
        return not self.ranges or any(each not in _LETTERS for each in self.ranges)

    def takes(self, media_type: str) -> bool:
        """Tell whether content of that type may be given to the client."""
        kind = media_type.partition(";")[0].strip().lower()
        wildcard = kind.partition("/")[0] + "/*"
        return not self.ranges or not {kind, wildcard, "*/*"}.isdisjoint(self.ranges)

    def __str__(self) -> str:
        """Write it as a field value."""
        return ", ".join(self.ranges)


def _is_zero(parameter: str) -> bool:
    name, _, weight = parameter.partition("=")
    try:
        return name.strip() == "q" and float(weight) == 0
    except ValueError:
        return False
