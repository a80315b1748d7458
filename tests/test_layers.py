"""The rule of the house, as a test: arrows run down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import registryproxy

ROOT = Path(registryproxy.__file__).parent
FLOORS = [
    "errors oci wire policy config",
    "interfaces flight resolving sockets",
    "store upstream ca pull front door",
    "lifetime report logs service tap cli",
]
RANK = {room: rank for rank, floor in enumerate(FLOORS) for room in floor.split()}
GROUND, ROOF = 0, len(FLOORS) - 1
# What the pure rooms may not touch: anything that waits, looks at the world, or remembers.
IMPURE = {
    "twisted",
    "os",
    "time",
    "socket",
    "pathlib",
    "logging",
    "random",
    "threading",
    "subprocess",
    "sqlite3",
}


def imports_within(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Go through every import, wherever it hides: the file, its room, and the module it names."""
    for path in sorted(root.rglob("*.py")):
        room = path.relative_to(root).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield path, room, alias.name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute here"
                yield path, room, node.module or ""


class LayerTests(SynchronousTestCase):
    """Who may import whom."""

    def test_arrows_run_down(self) -> None:
        """A room imports lower floors and itself; only ground and roof may also look at their own floor."""
        for path, room, module in imports_within(ROOT):
            package, _, rest = module.partition(".")
            other = rest.partition(".")[0]
            if package != "registryproxy" or not other or room == "__init__":
                continue
            self.assertIn(room, RANK, f"{path}: the house has no such room")
            allowed = (
                other == room
                or RANK[other] < RANK[room]
                or (RANK[other] == RANK[room] and RANK[room] in {GROUND, ROOF})
            )
            self.assertTrue(allowed, f"{path}: {room} may not import {other}")

    def test_the_ground_is_pure(self) -> None:
        """Ground rooms see neither the reactor nor the machine: values in, values out."""
        for path, room, module in imports_within(ROOT):
            if RANK.get(room) == GROUND:
                self.assertNotIn(module.partition(".")[0], IMPURE, f"{path} is on the ground")
