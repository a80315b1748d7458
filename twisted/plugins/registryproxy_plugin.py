"""Tell twistd and twist that registryproxy exists, and nothing more: they read this file at every start."""

from twisted.application.service import ServiceMaker

registryproxy = ServiceMaker(
    "registryproxy",
    "registryproxy.tap",
    "A caching proxy in front of container registries.",
    "registryproxy",
)
