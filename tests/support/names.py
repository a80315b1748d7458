"""A reactor that knows names of the laboratory's own, and resolves no others."""

from typing import Any

from attrs import define
from twisted.internet.interfaces import (
    IHostnameResolver,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from zope.interface import classImplements, implementer

from tests.support.book import Book


@implementer(IReactorPluggableNameResolver)
@define(eq=False)
class ReactorWithNames:
    """A reactor in all but its resolver."""

    _reactor: Any
    nameResolver: IHostnameResolver

    @classmethod
    def of(cls, reactor: Any, addresses: dict[str, str]) -> "ReactorWithNames":
        """Resolve these names, each to one address."""
        return cls(reactor, Book({name: [address] for name, address in addresses.items()}))

    def installNameResolver(self, _resolver: IHostnameResolver) -> IHostnameResolver:
        """Keep the one there is."""
        return self.nameResolver

    def __getattr__(self, name: str) -> Any:
        """Do all else as the reactor does."""
        return getattr(self._reactor, name)


classImplements(ReactorWithNames, IReactorTCP, IReactorTime)  # by what it delegates
