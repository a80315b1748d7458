"""Facts: what the log will say of a request, gathered while it is answered."""

from attrs import define

from registryproxy.wire.authority import Authority


@define
class Facts:
    """
    What is known of a request so far.

    @ivar kind: what was asked for: C{ping}, C{manifest}, C{blob}, C{other}, C{page}.
    @ivar reference: the tag or digest of the path.
    @ivar digest: of what was given.
    @ivar result: how it was answered, one of the words of L{Outcome} in lower case, or C{passed}, C{refused},
        C{failed}.
    @ivar upstream_seconds: how long registries were waited for.
    """

    kind: str = "page"
    registry: Authority | None = None
    repository: str = ""
    reference: str = ""
    digest: str = ""
    result: str = ""
    upstream_seconds: float = 0.0
