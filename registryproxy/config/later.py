"""Settings that are known, but whose effect is not built yet: each says what is the case today."""

from ipaddress import IPv4Network, IPv6Network

from attrs import frozen

from registryproxy.config import kinds
from registryproxy.config.setting import setting, timeout

_NO_EVICTION = "eviction is not built yet, and nothing is ever removed from the cache"
_NO_LOGIN = "the proxy cannot log in by itself yet, and only clients' own credentials are used"
_NO_PUSH = "pushing through the proxy is not built yet, and every push is answered with 405"


@frozen(kw_only=True)
class LaterSettings:
    """
    The part of L{registryproxy.config.settings.Config} that is refused when it is set to other than its default.

    What gets built moves over there.
    """

    cache_max_size: int = setting(
        kinds.SIZE,
        "32g",
        "How large the cache may grow; the least recently used goes first.",
        example="32g or 500m",
        seed=True,
        later=_NO_EVICTION,
    )
    cache_inactive: float = setting(
        kinds.TIMEOUT,
        "60d",
        "How long content that nobody asks for is kept.",
        example="60d or 12h",
        seed=True,
        later=_NO_EVICTION,
    )
    auth_registries: str = setting(
        kinds.PLAIN,
        "",
        "The proxy's own credentials: host:user:password entries, separated by spaces.",
        example="auth.docker.io:user:password",
        secret=True,
        seed=True,
        later=_NO_LOGIN,
    )
    auth_registries_delimiter: str = setting(
        kinds.PLAIN,
        " ",
        "What separates the entries of AUTH_REGISTRIES.",
        shown_default="a space",
        example=";;;",
        seed=True,
        later="AUTH_REGISTRIES is not built yet, so that there is nothing to separate",
    )
    auth_registry_delimiter: str = setting(
        kinds.PLAIN,
        ":",
        "What separates host, user and password within an entry of AUTH_REGISTRIES.",
        example=":::",
        seed=True,
        later="AUTH_REGISTRIES is not built yet, so that there is nothing to separate",
    )
    allow_push: bool = setting(
        kinds.BOOLEAN,
        "false",
        "Whether clients may push through the proxy.",
        seed=True,
        later=_NO_PUSH,
    )
    proxy_request_buffering: bool = setting(
        kinds.BOOLEAN,
        "true",
        "Accepted for the seed's sake; pushes always pass through unbuffered.",
        seed=True,
        later=_NO_PUSH,
    )
    proxy_send_timeout: float = timeout(
        "How long a registry may take nothing of what is pushed to it.",
        later="pushing through the proxy is not built yet, so that nothing is sent for long",
    )
    admin_listen: tuple[str, ...] = setting(
        kinds.ENDPOINTS,
        "tcp:3129:interface=127.0.0.1",
        "Where dashboard and admin API are served; empty: nowhere.",
        later="dashboard and admin API are not built yet, and nothing listens for them",
        fulfilled=("",),
        takes_empty=True,
    )
    upstream_endpoints: tuple[tuple[str, str], ...] = setting(
        kinds.UPSTREAMS,
        "",
        "Where registries are really asked: name=url pairs, separated by spaces.",
        example="registry-1.docker.io=https://hub.example.com:8443",
        later="this is not built yet, and every registry is asked under its own name",
    )
    https_proxy: str | None = setting(
        kinds.PROXY,
        "",
        "The proxy on the way out to registries, with user and password in the URL where it wants them.",
        example="http://proxy.example.com:3128",
        secret=True,
        later="going out through another proxy is not built yet, and registries are asked directly",
    )
    client_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        kinds.NETWORKS,
        "",
        "Networks whose clients may use the proxy, in CIDR notation.",
        shown_default="all",
        example="10.0.0.0/8 192.168.1.0/24",
        later="limiting the clients is not built yet, and whoever can connect may use the proxy",
    )
    client_credentials: str = setting(
        kinds.PLAIN,
        "",
        "user:password entries of the clients that may use the proxy, or an htpasswd file by _FILE.",
        shown_default="none",
        example="alice:secret",
        secret=True,
        later="asking clients for a password is not built yet, and whoever can connect may use the proxy",
    )
    offline: bool = setting(
        kinds.BOOLEAN,
        "false",
        "Whether registries are never asked.",
        later="this is not built yet, and registries are asked",
    )
    workers: int | None = setting(
        kinds.WORKERS,
        "1",
        "How many processes serve; auto: one a core.",
        example="2 or auto",
        later="more than one serving process is not built yet",
    )
