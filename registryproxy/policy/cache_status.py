"""C{Cache-Status}: how the cache took part in an answer, in the words of RFC 9211."""

from registryproxy.policy.outcome import Outcome

_NAME = "registryproxy"
_PARAMETERS = {
    Outcome.MISS: "fwd=uri-miss; stored",
    Outcome.HIT: "hit",
    Outcome.REVALIDATED: "fwd=stale; fwd-status=200; detail=revalidated",
    Outcome.EXPIRED: "fwd=stale; fwd-status=200; stored",
    Outcome.STALE: "hit; detail=stale",
    Outcome.UPDATING: "fwd=uri-miss; collapsed",
}


def cache_status(outcome: Outcome | None) -> str:
    """
    Write the field's value; nothing stands for what is passed through.

    @see: RFC 9211, section 2.
    """
    return f"{_NAME}; {'fwd=bypass' if outcome is None else _PARAMETERS[outcome]}"
