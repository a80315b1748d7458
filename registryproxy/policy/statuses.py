"""What a registry's status means for what is kept."""

from enum import Enum


class Verdict(Enum):
    """
    How a registry's answer about a tag is taken.

    @cvar TOLD: it says what the tag means.
    @cvar GONE: there is no such tag; that is believed.
    @cvar AILING: it cannot say now; what is kept still serves.
    @cvar UNABLE: it does not take the question (HEAD), and must be asked otherwise.
    @cvar OTHER: it says something that only the client understands.
    """

    TOLD = "told"
    GONE = "gone"
    AILING = "ailing"
    UNABLE = "unable"
    OTHER = "other"


_AILING = frozenset({401, 403, 408, 429})
_UNABLE = frozenset({405, 501})


def verdict(status: int) -> Verdict:
    """Judge the status of an answer to HEAD or GET of a tag."""
    if status == 200:  # noqa: PLR2004  OK
        return Verdict.TOLD
    if status == 404:  # noqa: PLR2004  Not Found
        return Verdict.GONE
    if status in _UNABLE:
        return Verdict.UNABLE
    if status in _AILING or status >= 500:  # noqa: PLR2004  the class of server errors
        return Verdict.AILING
    return Verdict.OTHER


def is_away(status: int) -> bool:
    """Tell whether a registry that answers so cannot serve anybody now: then C{/v2/} is answered in its stead."""
    return status in {408, 429} or status >= 500  # noqa: PLR2004  the class of server errors
