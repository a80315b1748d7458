"""The words for how a request was answered, in headers, logs and metrics alike."""

from enum import Enum


class Outcome(Enum):
    """
    How the cache took part in an answer; the value is the word that nginx uses in its status header.

    @cvar MISS: fetched for this request.
    @cvar HIT: given from what is kept, nobody asked.
    @cvar REVALIDATED: upstream was asked, and what is kept still holds.
    @cvar EXPIRED: upstream was asked, and the tag had moved.
    @cvar STALE: upstream could not be asked; what is kept was given.
    @cvar UPDATING: joined a fetch in progress.
    """

    MISS = "MISS"
    HIT = "HIT"
    REVALIDATED = "REVALIDATED"
    EXPIRED = "EXPIRED"
    STALE = "STALE"
    UPDATING = "UPDATING"


class CacheType(Enum):
    """
    By which rule an answer is kept: the words of the seed's type header.

    The four of a tag tell its tier.
    """

    BLOB_BY_DIGEST = "blob-by-digest"
    MANIFEST_BY_DIGEST = "manifest-by-digest"
    MANIFEST_PRIMARY = "manifest-primary"
    MANIFEST_SECONDARY = "manifest-secondary"
    MANIFEST_DEFAULT = "manifest-default"
    MANIFEST_DEFAULT_DISABLED = "manifest-default-disabled"
