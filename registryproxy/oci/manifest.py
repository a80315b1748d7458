"""Manifests: opaque bytes, of which we read no more than their type."""

import json
import re

from registryproxy.oci.accept import OCI_INDEX, OCI_MANIFEST

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""
Bytes of a manifest that is read into memory; the spec lets registries refuse larger ones.

@see: OCI distribution-spec, "Pushing Manifests".
"""

_NAME = "[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
_UNKNOWN = "application/octet-stream"


def media_type_of(content: bytes) -> str:
    """
    Tell what a manifest says of its own type; for where nobody remembers what its registry said.

    @see: OCI image-spec, manifest.md and image-index.md, C{mediaType}; RFC 6838, section 4.2.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):  # the latter for [[[[[…, of which 4 MiB may come
        return _UNKNOWN
    if not isinstance(document, dict):
        return _UNKNOWN
    declared = document.get("mediaType")
    if isinstance(declared, str) and _MEDIA_TYPE.fullmatch(declared):
        return declared
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST
