"""Strategies named after the nouns of the distribution spec, and near misses of each."""

import string

from hypothesis.strategies import SearchStrategy, binary, builds, from_regex, sampled_from, text

from registryproxy.oci.digest import Digest
from registryproxy.oci.names import Repository, Tag

ALGORITHMS = ("sha256", "sha512")

digests: SearchStrategy[Digest] = builds(Digest.of, binary(max_size=8), sampled_from(ALGORITHMS))
"""Digests that content can be checked against."""

_COMPONENT = r"[a-z0-9]{1,5}(([.]|_|__|-{1,3})[a-z0-9]{1,5}){0,2}"
repositories: SearchStrategy[Repository] = from_regex(
    rf"{_COMPONENT}(/{_COMPONENT}){{0,3}}", fullmatch=True
).map(Repository)

tags: SearchStrategy[Tag] = from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}", fullmatch=True).map(Tag)

clutter: SearchStrategy[str] = text(string.ascii_lowercase[:4] + "AZ09/.:_-%+=@?#\\ \x00\n\x7fé", max_size=40)
"""Text of such characters as matter to the grammars."""

field_values: SearchStrategy[str] = text(
    [chr(code) for code in range(256) if code not in {0, 10, 13}], max_size=60
)
"""What the value of a header field may be, garbage included: ISO 8859-1 without NUL, CR and LF."""
