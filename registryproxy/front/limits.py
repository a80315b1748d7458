"""How much clients may send, and how long they may take."""

from attrs import frozen

MAX_LINE_BYTES = 64 * 1024
"""Of the request line, and of each field: the tokens of some clouds are that long."""

MAX_HEAD_BYTES = 128 * 1024
"""Of all lines of one head together, their ends not counted."""

MAX_FIELDS = 1000
"""Of one head."""

MAX_IGNORED_BODY_BYTES = 64 * 1024
"""A body that means nothing is read to its end up to here, so that the connection can go on."""

LINGER_SECONDS = 5.0
"""How long a client that is still sending may read its answer, before the connection is aborted."""

LINGER_BYTES = 16 * 1024 * 1024
"""How much of what nobody takes is dropped before the client is no longer read from."""


@frozen(kw_only=True)
class Patience:
    """
    How long clients are waited for, in seconds.

    @ivar head: for the whole head of a request, from the start of the connection or from the head's first byte.
    @ivar body: between two reads of a request's body.
    @ivar idle: between two requests; with 0 each connection serves one request.
    @ivar send: for a client to take what was written before its connection is closed.
    """

    head: float = 60.0
    body: float = 60.0
    idle: float = 300.0
    send: float = 60.0
