"""The wiring: every room is built here, and introduced to those that it works with."""

import sqlite3
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any

from twisted.application.service import IService
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from registryproxy.ca.leaves import LeafMint
from registryproxy.ca.root import CertificateAuthority, load, load_or_create
from registryproxy.config.settings import Config
from registryproxy.door.dialler import Dialler, belongs_to_this_machine
from registryproxy.door.factory import ConnectFactory
from registryproxy.door.tunnel import TunnelPatience
from registryproxy.door.ways import Ways
from registryproxy.errors import ConfigError
from registryproxy.front.content import ContentWriter
from registryproxy.front.intercept import Interception
from registryproxy.front.limits import Patience
from registryproxy.front.pages import make_pages
from registryproxy.front.resources import RegistryRoot
from registryproxy.front.site import RegistrySite
from registryproxy.lifetime import ProxyService, Sockets
from registryproxy.policy.tunnels import TunnelPolicy
from registryproxy.pull.access import Access
from registryproxy.pull.asking import Asker
from registryproxy.pull.contents import Contents
from registryproxy.pull.manifests import Manifests
from registryproxy.pull.tags import Tags
from registryproxy.pull.through import PullThrough
from registryproxy.report import Reporter
from registryproxy.store.blobs import BlobStore
from registryproxy.store.index import Index
from registryproxy.upstream.agent import make_agent
from registryproxy.upstream.client import Upstream
from registryproxy.upstream.trust import UpstreamTrust

_DISK_THREADS = 8


def make_service(config: Config, reactor: Any) -> IService:
    """
    Build every room, and introduce them to each other; nothing listens before the service is started.

    @raise ConfigError: if a folder or file that a setting names cannot be used.
    @raise CAUnusable: if there is no certificate authority to work with.
    """
    reporter = Reporter(reactor)
    authority = _authority(config, reactor.seconds())
    mint = LeafMint(authority, reactor)
    disk = ThreadPool(0, _DISK_THREADS, "disk")
    in_thread = partial(deferToThreadPool, reactor, disk)
    store, index = _store(Path(config.cache_dir))

    trust = UpstreamTrust.of(
        None if config.upstream_ca_file is None else Path(config.upstream_ca_file),
        lambda registry: not config.verify_ssl or config.insecure_registries.is_listed(registry),
    )
    agent = make_agent(reactor, trust, config.proxy_connect_timeout, ipv6=not config.disable_ipv6)
    asker = Asker(Upstream.over(agent, reactor, config.proxy_read_timeout), reactor)
    access = Access(index, reactor, config.private_images == "checked")
    contents = Contents(store, asker, access, in_thread)
    manifests = Manifests(index, asker, contents)
    tags = Tags(index, asker, access, contents, manifests, config.tiers, reactor)
    pull = PullThrough(asker, contents, manifests, tags)

    patience = Patience(
        head=config.client_header_timeout,
        body=config.client_body_timeout,
        idle=config.keepalive_timeout,
        send=config.send_timeout,
    )
    root = RegistryRoot(pull, ContentWriter(reactor, config.send_timeout))
    registries = RegistrySite(root, reactor, reporter.request, patience)

    def why_not_ready() -> list[str]:
        reasons = []
        if not store.is_writable():
            reasons.append(f"the cache in {config.cache_dir} is not writable")
        if reactor.seconds() >= authority.ends_at:
            reasons.append("the certificate authority has ended")
        return reasons

    pages = RegistrySite(
        make_pages(mint.certificate_pem, why_not_ready, {gethostname().lower()}),
        reactor,
        reporter.request,
        patience,
    )
    sockets = Sockets(reactor, config.listen)
    policy = TunnelPolicy(
        mode=config.tunnels,
        ports=config.ports_of_tunnels,
        hosts=config.tunnel_hosts,
        is_ourselves=lambda address, port: port in sockets.ports and belongs_to_this_machine(address),
    )
    ways = Ways(
        clock=reactor,
        pages=pages.buildProtocol,
        is_listed=config.registries.is_listed,
        intercept=Interception(mint, registries, reactor).protocol_for,
        dial=Dialler(
            reactor, policy, config.proxy_connect_connect_timeout, ipv6=not config.disable_ipv6
        ).dial,
        report=reporter.connect,
        head_timeout=config.client_header_timeout,
        patience=TunnelPatience(
            read=config.proxy_connect_read_timeout, send=config.proxy_connect_send_timeout
        ),
    )
    return ProxyService(reactor, sockets, ConnectFactory(ways), (registries, pages), pull, index, disk)


def _authority(config: Config, now: float) -> CertificateAuthority:
    if config.ca_crt_file is not None and config.ca_key_file is not None:
        return load(Path(config.ca_crt_file), Path(config.ca_key_file), now)
    return load_or_create(Path(config.ca_dir), now)


def _store(root: Path) -> tuple[BlobStore, Index]:
    try:
        store = BlobStore.on(root)
        return store, Index.open(root / "index.sqlite")
    except (OSError, sqlite3.Error) as e:
        reason = e.strerror if isinstance(e, OSError) else str(e)
        raise ConfigError(
            f"CACHE_DIR: {str(root)!r} cannot be used ({reason}); name a folder that this user may write to,"
            " for example /var/cache/registryproxy"
        ) from e
