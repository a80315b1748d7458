"""The pull, put together over a fake registry, a real store and a clock that only the test moves."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.web.iweb import IAgent
from twisted.web.resource import IResource

from registryproxy.interfaces import Errand
from registryproxy.oci.accept import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Accept
from registryproxy.policy.tiers import TierTable
from registryproxy.pull.access import Access
from registryproxy.pull.asking import Asker
from registryproxy.pull.contents import Contents
from registryproxy.pull.manifests import Manifests
from registryproxy.pull.tags import Tags
from registryproxy.pull.through import PullThrough
from registryproxy.store.blobs import BlobStore
from registryproxy.store.index import Index
from registryproxy.upstream.agent import VerbatimAgent
from registryproxy.upstream.client import Upstream
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields

ONE = Authority("one.test", 443)
TWO = Authority("two.test", 443)
EVERYTHING = f"{DOCKER_MANIFEST}, {DOCKER_INDEX}, {OCI_MANIFEST}, {OCI_INDEX}"
START = 1_800_000_000.0


def at_once(function: Callable[..., Any], *arguments: Any) -> "Deferred[Any]":
    """Run what would run in a thread here and now."""
    return maybeDeferred(function, *arguments)


def tiers(*, enabled: bool) -> TierTable:
    """Make the seed's tiers with short lives: 10 s for C{stable}, 600 s for C{1.2.3}, 60 s for the rest."""
    return TierTable(enabled, re.compile("(stable|nightly)"), 10.0, re.compile(r"\d+\.\d+"), 600.0, 60.0)


def errand(
    method: str = "GET",
    registry: Authority = ONE,
    authorization: str | None = None,
    accept: str = EVERYTHING,
    target: str = "/v2/",
) -> Errand:
    """Make a client's request."""
    lines = [("accept", accept)] if accept else []
    if authorization is not None:
        lines.append(("authorization", authorization))
    return Errand(registry, method, target, Fields(lines), Accept.parse([accept]))


@define(eq=False)
class House:
    """
    Everything behind the front.

    @ivar agent: flush it after the registry has written.
    """

    root: Path
    internet: IResource
    manifest_cache: bool = False
    checked: bool = True
    in_thread: Callable[..., "Deferred[Any]"] = at_once
    clock: Clock = field(factory=Clock)
    outside: IAgent | None = None
    agent: RequestTraversalAgent = field(init=False)
    store: BlobStore = field(init=False)
    index: Index = field(init=False)
    contents: Contents = field(init=False)
    pull: PullThrough = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Introduce the rooms to each other, as the service does."""
        if not self.clock.seconds():
            self.clock.advance(START)
        self.agent = RequestTraversalAgent(self.internet)
        self.store = BlobStore.on(self.root)
        self.index = Index.open(self.root / "index.sqlite")
        upstream = Upstream.over(VerbatimAgent(self.outside or self.agent), self.clock, 60.0)
        asker = Asker(upstream, self.clock)
        access = Access(self.index, self.clock, self.checked)
        self.contents = Contents(self.store, asker, access, self.in_thread)
        manifests = Manifests(self.index, asker, self.contents)
        tags = Tags(
            self.index,
            asker,
            access,
            self.contents,
            manifests,
            tiers(enabled=self.manifest_cache),
            self.clock,
        )
        self.pull = PullThrough(asker, self.contents, manifests, tags)
