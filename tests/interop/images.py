"""Images made here, byte by byte, since there is no network to pull them from."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import random
import tarfile
from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

#: What C{platform.machine} says, in the words of image configurations.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

#: Large enough that every client reads it in many pieces.
_RANDOM_BYTES = 4 * 2**20


@frozen
class MediaTypes:
    """The names that one of the two families of image formats gives its parts."""

    index: str
    manifest: str
    config: str
    layer: str


DOCKER = MediaTypes(
    index="application/vnd.docker.distribution.manifest.list.v2+json",
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
)
OCI = MediaTypes(
    index="application/vnd.oci.image.index.v1+json",
    manifest="application/vnd.oci.image.manifest.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
)


@frozen
class Blob:
    """Bytes that a registry keeps: a layer, a config or a manifest."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """Return the name of the content."""
        return digest_of(self.content)

    def descriptor(self) -> dict[str, Any]:
        """Return how a manifest speaks of this blob."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@frozen
class Pulled:
    """
    What a client has of an image after a pull.

    @ivar manifest: the digest by which the client knows it.
    @ivar config: the digest of the config, which names every layer in turn.
    @ivar files: the digest of each file as unpacked, by path without the leading slash.
    """

    manifest: str
    config: str
    files: Mapping[str, str]


@frozen
class Image:
    """
    An image for one platform.

    @ivar files: what the layers, one upon the other, come to.
    """

    architecture: str
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]
    files: Mapping[str, bytes]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Return everything that a manifest refers to."""
        return (self.config, *self.layers)

    def as_pulled(self) -> Pulled:
        """Return what a client must have once it has pulled this."""
        files = {path: digest_of(content) for path, content in self.files.items()}
        return Pulled(self.manifest.digest, self.config.digest, files)


@frozen
class Index:
    """One name for images of several platforms."""

    manifest: Blob
    images: tuple[Image, ...]

    def image_for_this_machine(self) -> Image:
        """Return the image that a client on this machine must choose."""
        return next(image for image in self.images if image.architecture == this_architecture())


def this_architecture() -> str:
    """Return what images for this machine call it."""
    return _ARCHITECTURES[platform.machine()]


def digest_of(content: bytes) -> str:
    """Return the digest of C{content} as registries write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def make_image(seed: str, types: MediaTypes = DOCKER, architecture: str = "amd64") -> Image:
    """
    Make an image of three layers, of which the last one changes a file of the first.

    @param seed: what the content is made from: the same seed, the same bytes; another one, no blob in common.
    """
    noise = random.Random(seed).randbytes(_RANDOM_BYTES)
    contents = [
        {"etc/who": f"{seed}, written by the first layer\n".encode()},
        {"srv/noise": noise},
        {"etc/who": f"{seed}, written by the last layer\n".encode()},
    ]
    archives = [_archive(files) for files in contents]
    layers = tuple(Blob(types.layer, gzip.compress(archive, 1, mtime=0)) for archive in archives)
    settings = {
        "architecture": architecture,
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/none"], "Labels": {"seed": seed}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(archive) for archive in archives]},
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": f"layer of {seed}"} for _ in layers],
    }
    config = Blob(types.config, json.dumps(settings).encode())
    parts = {"config": config.descriptor(), "layers": [layer.descriptor() for layer in layers]}
    manifest = _manifest(types.manifest, parts)
    return Image(architecture, manifest, config, layers, contents[0] | contents[1] | contents[2])


def make_index(seed: str, types: MediaTypes = OCI) -> Index:
    """Make an index of two images, one for each kind of machine that these tests run on."""
    images = tuple(make_image(f"{seed} for {name}", types, name) for name in _ARCHITECTURES.values())
    entries = [
        image.manifest.descriptor() | {"platform": {"architecture": image.architecture, "os": "linux"}}
        for image in images
    ]
    return Index(_manifest(types.index, {"manifests": entries}), images)


def files_of(archives: list[bytes], wanted: Collection[str]) -> dict[str, str]:
    """
    Return the digest of each file that tar archives, unpacked one upon the other, come to.

    @param wanted: the paths to look for; engines add files of their own, such as C{/etc/hosts}.
    """
    found = {}
    for archive in archives:
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:
            for member in members:
                path = member.name.removeprefix("./").lstrip("/")
                reader = members.extractfile(member) if path in wanted else None
                if reader is not None:
                    found[path] = digest_of(reader.read())
    return found


def _manifest(media_type: str, parts: Mapping[str, Any]) -> Blob:
    # Indented as nobody else would: a proxy which writes manifests anew, rather than passing them on, is found out.
    whole = {"schemaVersion": 2, "mediaType": media_type, **parts}
    return Blob(media_type, json.dumps(whole, indent=5).encode())


def _archive(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in sorted({path.split("/")[0] for path in files}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()
