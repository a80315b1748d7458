"""Every setting: its name, kind, default and meaning."""

# ruff: noqa: RUF009  setting() and timeout() make fields, as attrs.field() does

from functools import cache
from re import Pattern
from typing import Literal

from attrs import fields, frozen

from registryproxy.config import kinds
from registryproxy.config.later import LaterSettings
from registryproxy.config.setting import Setting, setting, settings_of, timeout
from registryproxy.errors import ConfigError
from registryproxy.policy.registries import RegistryTable
from registryproxy.policy.tiers import TierTable

_HALF = "{0}: it is not set, although {1} is; write for example {2}"


@frozen(kw_only=True)
class Config(LaterSettings):
    """
    The settings in force.

    Each field is a setting; what it means is said by its declaration, from which the command line, the
    environment, the TOML file and docs/settings.md are made.  Times are seconds, sizes are bytes.
    """

    listen: tuple[str, ...] = setting(
        kinds.ENDPOINTS,
        "",
        "Where clients connect: Twisted server endpoint strings, separated by spaces.",
        example="tcp:3128:interface=127.0.0.1",
        shown_default="port 3128 on all addresses, IPv4 and IPv6",
    )
    cache_dir: str = setting(
        kinds.PATH,
        "registryproxy/cache",
        "Where content is kept.",
        example="/var/cache/registryproxy",
        shown_default="$CACHE_DIRECTORY of systemd, else registryproxy/cache in the user's state folder",
    )
    ca_dir: str = setting(
        kinds.PATH,
        "registryproxy/ca",
        "Where the certificate authority is kept, and made on the first start.",
        example="/var/lib/registryproxy/ca",
        shown_default="$STATE_DIRECTORY of systemd, else registryproxy/ca in the user's state folder",
    )
    ca_crt_file: str | None = setting(
        kinds.PATH_IF_ANY,
        "",
        "The certificate, in PEM, of an authority that you bring along; together with CA_KEY_FILE.",
        example="/etc/registryproxy/ca.crt",
        seed=True,
    )
    ca_key_file: str | None = setting(
        kinds.PATH_IF_ANY,
        "",
        "The key, in PEM and without passphrase, of an authority that you bring along.",
        example="/etc/registryproxy/ca.key",
        seed=True,
    )
    registries: RegistryTable = setting(
        kinds.REGISTRIES,
        "registry.k8s.io gcr.io quay.io ghcr.io",
        "Registries that are intercepted and cached, separated by spaces: host (port 443), host:port, or"
        " *.suffix. Docker Hub always is.",
        example="quay.io registry.example.com:5000 *.dkr.ecr.us-east-1.amazonaws.com",
        seed=True,
    )
    verify_ssl: bool = setting(
        kinds.BOOLEAN, "true", "Whether the certificates of registries are verified.", seed=True
    )
    insecure_registries: RegistryTable = setting(
        kinds.HOSTS,
        "",
        "Registries whose certificate is not verified: host (on any port), host:port, or *.suffix.",
        example="registry.lan:5000",
    )
    upstream_ca_file: str | None = setting(
        kinds.PATH_IF_ANY,
        "",
        "A PEM file of authorities that are trusted for registries, in addition to the system's.",
        example="/etc/registryproxy/upstream-ca.pem",
    )
    private_images: Literal["checked", "shared"] = setting(
        kinds.choice("checked", "shared"),
        "checked",
        "checked: what was fetched with a client's credentials is given to those whom the registry lets read it;"
        " shared: to everybody, as the seed did.",
    )
    enable_manifest_cache: bool = setting(
        kinds.BOOLEAN,
        "false",
        "Whether the registry's word on a tag is believed for a while, as the next five settings say; otherwise it is"
        " asked every time.",
        seed=True,
    )
    manifest_cache_primary_regex: Pattern[str] = setting(
        kinds.REGEX,
        "(stable|nightly|production|test)",
        "Tags of the primary tier; matched from the start of the tag, not necessarily to its end.",
        seed=True,
    )
    manifest_cache_primary_time: float = setting(
        kinds.TIME, "10m", "For how long tags of the primary tier are believed.", seed=True
    )
    manifest_cache_secondary_regex: Pattern[str] = setting(
        kinds.REGEX,
        r"(.*)(\d|\.)+(.*)(\d|\.)+(.*)(\d|\.)+",
        "Tags of the secondary tier, matched likewise.",
        seed=True,
    )
    manifest_cache_secondary_time: float = setting(
        kinds.TIME, "60d", "For how long tags of the secondary tier are believed.", seed=True
    )
    manifest_cache_default_time: float = setting(
        kinds.TIME, "1h", "For how long all other tags are believed.", seed=True
    )
    tunnels: Literal["open", "listed", "any"] = setting(
        kinds.choice("open", "listed", "any"),
        "open",
        "Where CONNECT may lead beside the registries. open: anywhere but loopback, link-local, unspecified and"
        " multicast addresses and the proxy itself; listed: only to TUNNEL_HOSTS; any: anywhere, as the seed did.",
    )
    tunnel_hosts: RegistryTable = setting(
        kinds.HOSTS,
        "",
        "Hosts that may be tunnelled to while TUNNELS is listed: host, host:port, or *.suffix.",
        example="*.example.com downloads.example.org",
    )
    tunnel_ports: tuple[int, ...] = setting(
        kinds.PORTS,
        "443",
        "Ports that may be tunnelled to; with TUNNELS=any all of them, unless others than 443 are set.",
        example="443 8443",
    )
    disable_ipv6: bool = setting(
        kinds.BOOLEAN,
        "false",
        "Whether IPv6 is used neither towards registries nor to listen by default.",
        seed=True,
    )
    client_header_timeout: float = timeout("How long a client may take to send the head of a request.")
    client_body_timeout: float = timeout("How long a client may be silent while it sends a body.")
    send_timeout: float = timeout("How long a client may take nothing of an answer before it is given up.")
    keepalive_timeout: float = setting(
        kinds.TIME,
        "300s",
        "How long a client's connection is kept open between requests; 0 closes it after each.",
        seed=True,
    )
    proxy_connect_timeout: float = timeout("How long a registry may take to accept a connection.")
    proxy_read_timeout: float = timeout("How long a registry may be silent.")
    proxy_connect_connect_timeout: float = timeout("How long the far end of a tunnel may take to be reached.")
    proxy_connect_read_timeout: float = timeout("How long the far end of a tunnel may be silent.")
    proxy_connect_send_timeout: float = timeout("How long the far end of a tunnel may take nothing.")
    no_proxy: tuple[str, ...] = setting(
        kinds.WORDS,
        "",
        "Hosts, suffixes and networks that are asked without HTTPS_PROXY: in this version everybody is.",
        example="registry.lan 10.0.0.0/8",
    )
    log_format: Literal["", "text", "json"] = setting(
        kinds.choice("", "text", "json"),
        "",
        "How the log is written: text or json.",
        example="json",
        shown_default="text on a terminal, else json",
    )
    debug: str = setting(kinds.PLAIN, "", "Accepted, and without effect.", seed=True)
    debug_hub: str = setting(kinds.PLAIN, "", "Accepted, and without effect.", seed=True)
    debug_nginx: str = setting(kinds.PLAIN, "", "Accepted, and without effect.", seed=True)

    def __attrs_post_init__(self) -> None:
        """
        Check what concerns two settings at once.

        @raise ConfigError: if half of an authority is given.
        """
        if self.ca_crt_file is None and self.ca_key_file is not None:
            raise ConfigError(_HALF.format("CA_CRT_FILE", "CA_KEY_FILE", "/etc/registryproxy/ca.crt"))
        if self.ca_key_file is None and self.ca_crt_file is not None:
            raise ConfigError(_HALF.format("CA_KEY_FILE", "CA_CRT_FILE", "/etc/registryproxy/ca.key"))

    @property
    def ports_of_tunnels(self) -> tuple[int, ...] | None:
        """The ports that may be tunnelled to; None for all, as the seed had it."""
        is_default = self.tunnel_ports == fields(Config).tunnel_ports.default
        return None if self.tunnels == "any" and is_default else self.tunnel_ports

    @property
    def tiers(self) -> TierTable:
        """For how long tags are believed."""
        return TierTable(
            is_enabled=self.enable_manifest_cache,
            primary=self.manifest_cache_primary_regex,
            primary_lifetime=self.manifest_cache_primary_time,
            secondary=self.manifest_cache_secondary_regex,
            secondary_lifetime=self.manifest_cache_secondary_time,
            default_lifetime=self.manifest_cache_default_time,
        )


@cache
def all_settings() -> tuple[Setting, ...]:
    """Tell all settings in the order in which they are printed: those first that have an effect."""
    return tuple(sorted(settings_of(Config), key=lambda each: each.later is not None))
