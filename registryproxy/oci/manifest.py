"""Manifests: opaque bytes, of which we read no more than their type."""

import json

from registryproxy.oci.accept import OCI_INDEX, OCI_MANIFEST

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""
Bytes of a manifest that is read into memory; the spec lets registries refuse larger ones.

@see: OCI distribution-spec, "Pushing Manifests".
"""


def media_type_of(content: bytes) -> str:
    """
    Tell what a manifest says of its own type; for where nobody remembers what its registry said.

    @see: OCI image-spec, manifest.md and image-index.md, C{mediaType}.
    """
    try:
        document = json.loads(content)
    except ValueError:
        return "application/octet-stream"
    if not isinstance(document, dict):
        return "application/octet-stream"
    declared = document.get("mediaType")
    if isinstance(declared, str) and declared.isascii() and declared.isprintable():
        return declared
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST
