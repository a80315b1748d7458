"""The record of one request: what the log says of it, and no more."""

from datetime import UTC, datetime

from attrs import field, frozen

from registryproxy.wire.authority import unmapped

_MAX_LENGTH = 300


def timestamp(seconds: float) -> str:
    """
    Write POSIX seconds for people and machines, in UTC to the millisecond.

    @see: RFC 3339, section 5.6.
    """
    return (
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    )


def _without_query(text: str) -> str:
    """Cut off where signatures and tokens live, should whoever made the record have left it on."""
    return text.partition("?")[0]


@frozen(kw_only=True)
class RequestRecord:
    """
    One request, and what became of it.

    Texts are empty where there is nothing to say.

    @ivar time: POSIX seconds at which the request had come.
    @ivar client: the IP address.
    @ivar user: who the client said to be, where the proxy asks.
    @ivar registry: host and port.
    @ivar reference: the tag or digest as it was asked for.
    @ivar digest: of what was given.
    @ivar kind: C{blob}, C{manifest}, C{ping}, C{other}, C{page}, C{connect} or C{tunnel}.
    @ivar result: an L{Outcome<registryproxy.policy.outcome.Outcome>} in lower case, or C{passed}, C{served},
        C{tunnelled}, C{refused}, C{failed}, or C{left} when the client went away.
    @ivar status: of the answer; 0 where none was begun.
    @ivar bytes: of the answer's body that were sent.
    @ivar milliseconds: from the request to the end of the answer.
    @ivar upstream_milliseconds: those of them that a registry was waited for.
    """

    time: float
    client: str = field(converter=unmapped)
    user: str = ""
    method: str
    registry: str = ""
    repository: str = field(default="", converter=_without_query)
    reference: str = field(default="", converter=_without_query)
    digest: str = ""
    kind: str
    result: str
    status: int
    bytes: int = 0
    milliseconds: float = 0.0
    upstream_milliseconds: float = 0.0
    request_id: str = ""

    def as_json(self) -> dict[str, str | int | float]:
        """Return what a JSON log has, in its order."""
        return {
            "time": timestamp(self.time),
            "client": self.client,
            "user": self.user[:_MAX_LENGTH],
            "method": self.method[:_MAX_LENGTH],
            "registry": self.registry,
            "repository": self.repository[:_MAX_LENGTH],
            "reference": self.reference[:_MAX_LENGTH],
            "digest": self.digest,
            "kind": self.kind,
            "result": self.result,
            "status": self.status,
            "bytes": self.bytes,
            "milliseconds": round(self.milliseconds, 1),
            "upstream_milliseconds": round(self.upstream_milliseconds, 1),
            "request_id": self.request_id,
        }

    def as_text(self) -> str:
        """Write one line of fifteen words, without its newline; C{-} stands for what is empty."""
        words = [_word(str(value)) for value in self.as_json().values()]
        labels = ("bytes=", "ms=", "upstream_ms=", "id=")
        return " ".join([*words[: -len(labels)], *map(str.__add__, labels, words[-len(labels) :])])


def _word(text: str) -> str:
    """Write a text as one word of ASCII, so that no client writes lines of its own into the log."""
    if text in {"", "-"}:
        return r"\x2d" if text else "-"
    escaped = text.encode("unicode_escape").decode("ascii")
    return escaped.replace(" ", r"\x20").replace('"', r"\x22").replace("'", r"\x27")
