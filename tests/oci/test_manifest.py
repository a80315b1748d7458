"""Tests for L{registryproxy.oci.manifest}."""

import json
import re

from hypothesis import given
from hypothesis.strategies import (
    binary,
    booleans,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    recursive,
    text,
)
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.oci.accept import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from registryproxy.oci.manifest import MAX_MANIFEST_BYTES, media_type_of

UNKNOWN = "application/octet-stream"
DOCUMENTS = recursive(
    none() | booleans() | integers() | floats() | text(),
    lambda inner: lists(inner) | dictionaries(text() | text("mediaType"), inner),
    max_leaves=10,
)
# What may stand in a Content-Type without harm to the header that it stands in.
HARMLESS = re.compile(r"[\x21-\x7e]+/[\x21-\x7e]+")


def typed(media_type: object) -> bytes:
    """Make a manifest that says so of itself."""
    return json.dumps({"schemaVersion": 2, "mediaType": media_type}).encode()


class MediaTypeTests(SynchronousTestCase):
    """What a manifest says of its own type."""

    @given(binary() | DOCUMENTS.map(json.dumps).map(str.encode) | text().map(typed))
    def test_total(self, content: bytes) -> None:
        """Any content has a type, and it can be a header's value."""
        self.assertTrue(HARMLESS.fullmatch(media_type_of(content)))

    def test_declared(self) -> None:
        """What is declared counts."""
        self.assertEqual(media_type_of(typed(DOCKER_MANIFEST)), DOCKER_MANIFEST)
        self.assertEqual(media_type_of(typed("application/vnd.example+json")), "application/vnd.example+json")

    def test_not_declared(self) -> None:
        """OCI leaves the type out; the members tell an index from a manifest."""
        self.assertEqual(media_type_of(b'{"schemaVersion": 2, "manifests": []}'), OCI_INDEX)
        self.assertEqual(media_type_of(b'{"schemaVersion": 2, "layers": []}'), OCI_MANIFEST)

    def test_declared_nonsense(self) -> None:
        """What is declared but is no media type is as if it were not declared."""
        nonsense: tuple[object, ...] = (
            None,
            7,
            [],
            "",
            "json",
            "a/b/c",
            "a b/c",
            "a/b\r\nx: y",
            "ä/b",
            "a/b; charset=utf-8",
            "/",
            "a/",
        )
        for each in (*nonsense, "a/" + "b" * 200):
            self.assertEqual(media_type_of(typed(each)), OCI_MANIFEST, each)

    def test_no_object(self) -> None:
        """What is no JSON object is bytes."""
        for content in (
            b"",
            b"\xff\xfe",
            b"[]",
            b"7",
            b'"a"',
            b"null",
            b"{",
            b'{"a": 1} x',
            b"<html>",
            b"9" * 5000,
        ):
            self.assertEqual(media_type_of(content), UNKNOWN, content[:20])

    def test_deep(self) -> None:
        """Nesting as deep as a manifest is long is bytes, too, and no error."""
        for opening in (b"[", b'{"a":', b'{"manifests":['):
            content = opening * (MAX_MANIFEST_BYTES // len(opening))
            self.assertEqual(media_type_of(content), UNKNOWN)
