"""Tests for L{registryproxy.oci.accept}."""

from hypothesis import given
from hypothesis.strategies import lists, permutations, sampled_from, sets
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.oci.accept import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Accept
from tests.support.strategies import field_values

KINDS = (DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX)
DOCKER = [  # as docker 20 sends it
    DOCKER_MANIFEST,
    DOCKER_INDEX,
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/json",
    OCI_INDEX,
    OCI_MANIFEST,
]
CONTAINERD = [f"{DOCKER_MANIFEST}, {DOCKER_INDEX}, {OCI_MANIFEST}, {OCI_INDEX}, */*"]


class ParseTests(SynchronousTestCase):
    """Reading the fields."""

    @given(lists(field_values))
    def test_total(self, values: list[str]) -> None:
        """Any values at all are read, can be sent on as one field, and are read from that as the same."""
        accept = Accept.parse(values)
        self.assertEqual(Accept.parse([str(accept)]), accept)
        str(accept).encode("latin-1")
        accept.takes(str(accept))

    @given(permutations(DOCKER))
    def test_order_and_fields_do_not_matter(self, ranges: list[str]) -> None:
        """One field or several, in whatever order, in whatever case: it is the same."""
        accept = Accept.parse(DOCKER)
        self.assertEqual(Accept.parse(ranges), accept)
        self.assertEqual(Accept.parse([" ,".join(ranges).upper()]), accept)

    def test_nothing(self) -> None:
        """No field, an empty one, or one of commas says nothing."""
        for values in ([], [""], [" , ,, "]):
            self.assertEqual(Accept.parse(values), Accept())

    def test_parameters_are_left_out(self) -> None:
        """Weights above zero and other parameters do not matter."""
        accept = Accept.parse(
            [f"{OCI_INDEX};q=0.1, {OCI_MANIFEST} ; charset=utf-8; q=0.001", "a/b;x;=;q;q=;q=x"]
        )
        self.assertEqual(accept.ranges, tuple(sorted(["a/b", OCI_MANIFEST, OCI_INDEX])))

    def test_weight_zero(self) -> None:
        """A range of weight zero is not taken, however the zero is written."""
        for zero in ("q=0", "Q=0.000", " q = 0.0", "x=y;q=0", "q=0;x=y"):
            self.assertEqual(Accept.parse([f"{OCI_INDEX};{zero}, */*"]).ranges, ("*/*",))


class GroupTests(SynchronousTestCase):
    """The Accept class."""

    def test_clients(self) -> None:
        """Clients that name all four kinds are of one class, whatever else they name."""
        classes = {Accept.parse(each).group for each in (DOCKER, CONTAINERD, [", ".join(KINDS)])}
        self.assertEqual(classes, {"DOdo"})

    @given(sets(sampled_from(KINDS)), sets(sampled_from(KINDS)))
    def test_tells_kinds_apart(self, some: set[str], others: set[str]) -> None:
        """Clients that name other kinds are of another class."""
        first, second = Accept.parse(some), Accept.parse(others)
        self.assertEqual(first.group == second.group, some == others)

    def test_others_are_taken_as_well(self) -> None:
        """Who takes anything besides is of another class than who does not; who says nothing takes anything."""
        self.assertEqual(Accept.parse([OCI_INDEX]).group, "O")
        self.assertEqual(Accept.parse([f"{OCI_INDEX}, */*"]).group, "O*")
        self.assertEqual(Accept.parse([f"{OCI_INDEX}, application/json"]).group, "O*")
        self.assertEqual([Accept().group, Accept.parse(["*/*"]).group], ["*", "*"])


class TakesTests(SynchronousTestCase):
    """What may be given."""

    def test_named(self) -> None:
        """What is named is taken, whatever its case and parameters; what is not named is not."""
        accept = Accept.parse([f"{OCI_INDEX}, {OCI_MANIFEST}"])
        for media_type in (OCI_INDEX, OCI_INDEX.upper(), f" {OCI_MANIFEST} ; charset=utf-8"):
            self.assertTrue(accept.takes(media_type), media_type)
        for media_type in (DOCKER_INDEX, "", "*/*", "application/*", OCI_INDEX + "x", "text/plain"):
            self.assertFalse(accept.takes(media_type), media_type)

    def test_wildcards(self) -> None:
        """C{application/*} takes applications, C{*/*} takes all, and so does silence."""
        self.assertTrue(Accept.parse(["application/*"]).takes(OCI_INDEX))
        self.assertFalse(Accept.parse(["application/*"]).takes("text/plain"))
        self.assertFalse(Accept.parse(["text/*"]).takes(OCI_INDEX))
        self.assertTrue(Accept.parse(["text/html, */*;q=0.1"]).takes(OCI_INDEX))
        self.assertTrue(Accept().takes(OCI_INDEX))

    def test_garbage_takes_nothing(self) -> None:
        """A range that cannot be read is one that no manifest fits."""
        accept = Accept.parse(["*, application, /, json; q=1"])
        self.assertFalse(any(accept.takes(kind) for kind in KINDS))

    @given(lists(sampled_from([*KINDS, "*/*", "application/*", "text/plain"])), sampled_from(KINDS))
    def test_as_the_group_says(self, ranges: list[str], kind: str) -> None:
        """What is named by one member of a class is taken by every other."""
        accept = Accept.parse(ranges)
        letter = {DOCKER_MANIFEST: "d", DOCKER_INDEX: "D", OCI_MANIFEST: "o", OCI_INDEX: "O"}[kind]
        if letter in accept.group:
            self.assertTrue(accept.takes(kind))
