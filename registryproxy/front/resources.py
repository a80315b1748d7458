"""The tree of an intercepted registry: each kind of path has its own leaf."""

from typing import ClassVar, cast

from twisted.web.resource import Resource
from twisted.web.server import Request

from registryproxy.errors import ClientError, MethodNotAllowed
from registryproxy.front.content import ContentWriter
from registryproxy.front.facts import Facts
from registryproxy.front.render import CoroutineResource, write_whole
from registryproxy.front.request import RegistryRequest
from registryproxy.interfaces import Errand, IPull
from registryproxy.oci.accept import Accept
from registryproxy.oci.digest import Digest
from registryproxy.oci.route import BlobRoute, ManifestRoute, OldApiRoute, PingRoute, parse_route
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields


class RegistryRoot(Resource):
    """
    The root for every intercepted registry: a path is parsed whole, and its leaf answers.

    The authority of the CONNECT, which the connection remembers, says which registry this is; C{Host} does not.
    """

    def __init__(self, pull: IPull, writer: ContentWriter) -> None:
        """Answer from C{pull}."""
        Resource.__init__(self)
        self._pull = pull
        self._writer = writer

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        """Find the leaf for the whole path."""
        asked = cast("RegistryRequest", request)
        asked.facts = Facts(registry=_registry_of(asked), kind="other")
        try:
            leaf = self._leaf(asked)
        except ClientError as e:
            return Refusal(e)
        asked.facts.kind = leaf.kind
        return leaf

    def _leaf(self, request: RegistryRequest) -> "RegistryLeaf":
        route = parse_route(request.uri.partition(b"?")[0].decode("latin-1"))
        if isinstance(route, OldApiRoute):
            raise _old_api(_registry_of(request))
        if request.method not in {b"GET", b"HEAD"}:
            raise _read_only(request.method.decode("latin-1"))
        if isinstance(route, PingRoute):
            return PingResource(self._pull, self._writer)
        if isinstance(route, ManifestRoute):
            request.facts.repository, request.facts.reference = str(route.repository), str(route.reference)
            if not isinstance(route.reference, Digest) or route.reference.is_known:
                return ManifestResource(self._pull, self._writer, route)
        elif isinstance(route, BlobRoute):
            request.facts.repository, request.facts.reference = str(route.repository), str(route.digest)
            if route.digest.is_known:
                return BlobResource(self._pull, self._writer, route)
        elif route.repository is not None:
            request.facts.repository = str(route.repository)
        # Also digests of algorithms that nobody here can check: served, and not kept.
        return OtherResource(self._pull, self._writer)


class RegistryLeaf(CoroutineResource):
    """
    What answers at one path.

    @cvar kind: what the log calls it.
    """

    kind: ClassVar[str]

    def __init__(self, pull: IPull, writer: ContentWriter) -> None:
        """Answer from C{pull}."""
        Resource.__init__(self)
        self._pull = pull
        self._writer = writer

    async def answer(self, request: RegistryRequest) -> None:
        """Go on the client's errand."""
        errand = _errand(request)
        try:
            await self.run(request, errand)
        finally:
            request.facts.upstream_seconds = errand.upstream_seconds

    async def run(self, request: RegistryRequest, errand: Errand) -> None:
        """Write the answer to this errand, all but C{finish()}."""
        raise NotImplementedError


class PingResource(RegistryLeaf):
    """C{/v2/}; answered here while the registry is away, so that clients go on to ask for what is kept."""

    kind = "ping"

    async def run(self, request: RegistryRequest, errand: Errand) -> None:
        """See L{RegistryLeaf.run}."""
        relayed = await self._pull.ping(errand)
        if relayed is not None:
            await self._writer.write(request, errand, relayed)
            return
        request.facts.result = "stale"
        write_whole(request, 200, "application/json", b"{}")


class ManifestResource(RegistryLeaf):
    """C{/v2/<name>/manifests/<reference>}."""

    kind = "manifest"

    def __init__(self, pull: IPull, writer: ContentWriter, route: ManifestRoute) -> None:
        """Answer one route."""
        RegistryLeaf.__init__(self, pull, writer)
        self._route = route

    async def run(self, request: RegistryRequest, errand: Errand) -> None:
        """See L{RegistryLeaf.run}."""
        repository, reference = self._route.repository, self._route.reference
        if isinstance(reference, Digest):
            answer = await self._pull.manifest(errand, repository, reference)
        else:
            answer = await self._pull.tagged(errand, repository, reference)
        await self._writer.write(request, errand, answer)


class BlobResource(RegistryLeaf):
    """C{/v2/<name>/blobs/<digest>}."""

    kind = "blob"

    def __init__(self, pull: IPull, writer: ContentWriter, route: BlobRoute) -> None:
        """Answer one route."""
        RegistryLeaf.__init__(self, pull, writer)
        self._route = route

    async def run(self, request: RegistryRequest, errand: Errand) -> None:
        """See L{RegistryLeaf.run}."""
        answer = await self._pull.blob(errand, self._route.repository, self._route.digest)
        await self._writer.write(request, errand, answer)


class OtherResource(RegistryLeaf):
    """Whatever else a registry or its token server answers: asked each time, and not kept."""

    kind = "other"

    async def run(self, request: RegistryRequest, errand: Errand) -> None:
        """See L{RegistryLeaf.run}."""
        await self._writer.write(request, errand, await self._pull.pass_through(errand))


class Refusal(CoroutineResource):
    """What cannot be answered, and why."""

    def __init__(self, error: ClientError) -> None:
        """Refuse with C{error}."""
        Resource.__init__(self)
        self._error = error

    async def answer(self, request: RegistryRequest) -> None:  # noqa: ARG002
        """See L{CoroutineResource.answer}."""
        raise self._error


def _registry_of(request: RegistryRequest) -> Authority:
    return cast("Authority", request.authority)  # this tree is reached through a CONNECT only


def _errand(request: RegistryRequest) -> Errand:
    fields = Fields(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    )
    return Errand(
        registry=_registry_of(request),
        method=request.method.decode("latin-1"),
        target=request.uri.decode("latin-1"),
        fields=fields,
        accept=Accept.parse(fields.all("accept")),
    )


def _old_api(registry: Authority) -> MethodNotAllowed:
    return MethodNotAllowed(
        "the client fell back to the v1 API, which is not served here: either the image does not exist, or"
        f" {registry.netloc} wants credentials that neither the client nor this proxy has given"
    )


def _read_only(method: str) -> MethodNotAllowed:
    return MethodNotAllowed(
        f"{method} would change the registry, and this proxy only reads (ALLOW_PUSH is false)"
    )
