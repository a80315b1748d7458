"""How each kind of value is read from the text of a setting: a value comes of it, or L{Unreadable}."""

import re
import warnings
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from registryproxy.config.units import Unreadable, parse_time
from registryproxy.errors import InvalidAuthority
from registryproxy.policy.registries import RegistryPattern
from registryproxy.wire.authority import MAX_PORT

_BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "off", "0"), False
)


def read_boolean(text: str) -> bool:
    """
    Read true or false, whatever the case; yes and no, on and off, 1 and 0 do as well.

    @raise Unreadable: if it is anything else.
    """
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise Unreadable(text, "is neither true nor false")
    return value


def read_timeout(text: str) -> float:
    """
    Read a time that somebody is given to do something.

    @raise Unreadable: if it is none, or no time at all, which would fail everything at once.
    """
    seconds = parse_time(text)
    if seconds == 0:
        raise Unreadable(text, "leaves no time at all")
    return seconds


# nginx's PCRE knows C{[[:digit:]]}; re would take it for a set of these very letters.
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")


def read_regex(text: str) -> re.Pattern[str]:
    """
    Read a regular expression, which regards case as nginx's C{~} does.

    @raise Unreadable: if it cannot be compiled, or means something else to nginx.
    """
    if match := _POSIX_CLASS.search(text):
        raise Unreadable(text, f"has {match[0]}, a class of POSIX, which is not known here")
    try:
        with warnings.catch_warnings():
            # Some day re may read [[a] otherwise; PCRE and the re of today agree on it.
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(text)
    # Flags that clash are a ValueError to re, counts beyond its limit an OverflowError.
    except (re.error, ValueError, OverflowError, RecursionError) as e:
        raise Unreadable(text, f"is not a regular expression ({e})") from None


def read_plain(text: str) -> str:
    """Read a text just as it is."""
    return text


def read_path(text: str) -> str:
    """
    Read a path in the file system.

    @raise Unreadable: if it is empty, or holds what no path can.
    """
    if not text or "\0" in text:
        raise Unreadable(text, "is not a path")
    return text


def read_path_if_any(text: str) -> str | None:
    """
    Read a path, or nothing from an empty text.

    @raise Unreadable: if it holds what no path can.
    """
    return read_path(text) if text else None


def read_patterns(text: str, default_port: int | None = 443) -> tuple[RegistryPattern, ...]:
    """
    Read registries separated by spaces, as L{RegistryPattern.parse} takes them.

    @raise Unreadable: if one of them is none.
    """
    patterns = []
    for each in text.split():
        try:
            patterns.append(RegistryPattern.parse(each, default_port))
        except InvalidAuthority as e:
            raise Unreadable(each, str(e).removeprefix(repr(each[:300])).strip()) from None
    return tuple(patterns)


def read_ports(text: str) -> tuple[int, ...]:
    """
    Read ports separated by spaces.

    @raise Unreadable: if one of them is no number within 1 to 65535.
    """
    return tuple(_port(each) for each in text.split())


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= MAX_PORT:
        raise Unreadable(text, f"is not a port within 1 to {MAX_PORT}")
    return int(text)


_ENDPOINT = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9_]*):(?P<rest>.+)", re.DOTALL)


def read_endpoints(text: str) -> tuple[str, ...]:
    """
    Read Twisted server endpoint strings separated by spaces, as far as that can be told without Twisted.

    @raise Unreadable: if one has no kind in front, or is of TCP and its port cannot be.
    """
    endpoints = tuple(text.split())
    for each in endpoints:
        match = _ENDPOINT.fullmatch(each)
        if match is None:
            raise Unreadable(each, "is not an endpoint")
        port = match["rest"].partition(":")[0].removeprefix("port=")
        if match["kind"] == "tcp" and not (re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= MAX_PORT):
            raise Unreadable(each, f"has a port that is not within 0 to {MAX_PORT}")
    return endpoints


def read_upstreams(text: str) -> tuple[tuple[str, str], ...]:
    """
    Read C{name=url} pairs separated by spaces.

    @raise Unreadable: if one of them is none.
    """
    pairs = []
    for each in text.split():
        name, _, url = each.partition("=")
        if not name or not _is_url(url):
            raise Unreadable(each, "is not a registry and a URL joined by =")
        pairs.append((name, url))
    return tuple(pairs)


def read_proxy(text: str) -> str | None:
    """
    Read the URL of a proxy, or nothing from an empty text.

    @raise Unreadable: if it is none.
    """
    stripped = text.strip()
    if stripped and not _is_url(stripped):
        raise Unreadable(text, "is not a URL of http or https")
    return stripped or None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def read_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """
    Read networks in CIDR notation separated by spaces; an address is a network of one.

    @raise Unreadable: if one of them is none, or has bits behind its prefix.
    """
    networks = []
    for each in text.split():
        try:
            networks.append(ip_network(each))
        except ValueError:
            raise Unreadable(each, "is not a network") from None
    return tuple(networks)


def read_workers(text: str) -> int | None:
    """
    Read how many processes; C{auto} is none, which is for as many as there are cores.

    @raise Unreadable: if it is no number from 1 on.
    """
    stripped = text.strip().lower()
    if stripped == "auto":
        return None
    if not re.fullmatch(r"[0-9]{1,4}", stripped) or int(stripped) == 0:
        raise Unreadable(text, "is not a number of processes")
    return int(stripped)


def read_words(text: str) -> tuple[str, ...]:
    """Read words separated by spaces or commas."""
    return tuple(text.replace(",", " ").split())
