"""Kinds of values: how each is read from text, and written so that it can be read again."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network
from re import Pattern
from typing import Any, Generic, TypeVar

from attrs import frozen

from registryproxy.config import readers
from registryproxy.config.units import Unreadable, parse_size, parse_time, size_text, time_text
from registryproxy.policy.registries import DOCKER_HUB, RegistryTable

T = TypeVar("T")


@frozen
class Kind(Generic[T]):
    """
    One kind of value.

    @ivar read: makes a value of a text, or raises L{Unreadable}; nothing else comes of any text.
    @ivar write: makes a text that C{read} makes the same value of.
    @ivar is_list: whether the text is a list separated by spaces, so that a TOML array may stand for it.
    """

    read: Callable[[str], T]
    write: Callable[[T], str]
    is_list: bool = False


def choice(*words: str) -> Kind[Any]:
    """Make the kind of which there are only these words, in lower case; an empty word is none of them."""

    def read(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            spelled = [each for each in words if each]
            raise Unreadable(text, f"is not {', '.join(spelled[:-1])} or {spelled[-1]}")
        return word

    return Kind(read, str)


def _joined(items: Iterable[object]) -> str:
    return " ".join(str(each) for each in items)


BOOLEAN = Kind(readers.read_boolean, lambda value: "true" if value else "false")
SIZE = Kind(parse_size, size_text)
TIME = Kind(parse_time, time_text)
TIMEOUT = Kind(readers.read_timeout, time_text)
REGEX: Kind[Pattern[str]] = Kind(readers.read_regex, lambda value: value.pattern)
PLAIN = Kind(readers.read_plain, str)
WORDS = Kind(readers.read_words, _joined, is_list=True)
PATH = Kind(readers.read_path, str)
PATH_IF_ANY: Kind[str | None] = Kind(readers.read_path_if_any, lambda value: value or "")
REGISTRIES = Kind(
    lambda text: RegistryTable.of(readers.read_patterns(text)),
    lambda table: _joined(each for each in table.patterns if each not in DOCKER_HUB),
    is_list=True,
)
# A bare host means each of its ports.
HOSTS = Kind(
    lambda text: RegistryTable.of_these_only(readers.read_patterns(text, None)),
    lambda table: _joined(each.as_text(None) for each in table.patterns),
    is_list=True,
)
PORTS = Kind(readers.read_ports, _joined, is_list=True)
ENDPOINTS = Kind(readers.read_endpoints, _joined, is_list=True)
UPSTREAMS = Kind(
    readers.read_upstreams, lambda pairs: _joined(f"{name}={url}" for name, url in pairs), is_list=True
)
PROXY: Kind[str | None] = Kind(readers.read_proxy, lambda value: value or "")
NETWORKS: Kind[tuple[IPv4Network | IPv6Network, ...]] = Kind(readers.read_networks, _joined, is_list=True)
WORKERS: Kind[int | None] = Kind(readers.read_workers, lambda value: str(value or "auto"))
