"""The laboratory: a CA, two registries and a proxy, on loopback addresses of their own."""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path

from attrs import define, field

from tests.interop.processes import Sandbox, write_hosts
from tests.interop.proxy import Proxy
from tests.interop.registry import Registry
from tests.support.lab_ca import LabCA

_ANYWHERE = random.SystemRandom()


def some_address() -> str:
    """
    Choose an address in 127.0.0.0/8 that nobody else uses.

    All of that network is this machine, so everyone in a test can have the well-known port of his trade, tests may
    run side by side, and a port that was just given up is never waited for.
    """
    return str(IPv4Address("127.0.0.0") + _ANYWHERE.randrange(2**20, 2**24 - 2**8))


@define(eq=False)
class Lab:
    """
    Everything but the client.

    @ivar scratch: a folder of the test's own; its name is short, for sockets in it may not have long ones.
    @ivar one: a registry at port 443, as people have them.
    @ivar two: another, at another port.
    @ivar locked: a third, which nobody may read but who has its credentials.
    """

    scratch: Path
    one: Registry
    two: Registry
    locked: Registry
    proxy: Proxy
    _rooms: ExitStack = field(repr=False)

    @classmethod
    def open(cls) -> Lab:
        """Build a laboratory; if that fails, nothing is left of it."""
        with ExitStack() as rooms:
            scratch = Path(tempfile.mkdtemp(prefix="interop-"))
            rooms.callback(shutil.rmtree, scratch)
            ca = LabCA.create()
            ca_file = scratch / "lab-ca.pem"
            ca_file.write_bytes(ca.pem())
            addresses = {f"registry.{name}.test": some_address() for name in ("one", "two", "locked")}
            # Only the proxy knows the way to the registries; so a client that gets an image got it from the proxy.
            sandbox = Sandbox(write_hosts(scratch / "hosts", addresses))

            def open_registry(host: str, port: int, *, is_locked: bool = False) -> Registry:
                authority = (host, addresses[host], port)
                registry = Registry.create(authority, scratch / host, ca, sandbox, is_locked=is_locked)
                rooms.callback(registry.stop)
                return registry

            one = open_registry("registry.one.test", 443)
            two = open_registry("registry.two.test", 5002)
            locked = open_registry("registry.locked.test", 443, is_locked=True)
            names = [registry.authority for registry in (one, two, locked)]
            proxy = Proxy.create(some_address(), scratch / "proxy", names, ca_file, sandbox)
            rooms.callback(proxy.kill)
            return cls(scratch, one, two, locked, proxy, rooms.pop_all())

    def close(self) -> None:
        """End all programs and remove the scratch folder."""
        self._rooms.close()

    def client_sandbox(self, scratch: Path) -> Sandbox:
        """
        Make a sandbox for a client: it may write to C{scratch} alone, and it must not know the registries.

        Their names lead it to an address where nobody listens, rather than to a name server out there.
        """
        nowhere = dict.fromkeys([self.one.host, self.two.host, self.locked.host], "0.0.0.0")
        return Sandbox(write_hosts(scratch / "hosts", nowhere), scratch)
