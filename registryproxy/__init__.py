"""
registryproxy: the caching proxy in front of every container registry.

@var __version__: the version of the package, as C{registryproxy --version} prints it.
"""

__version__ = "0.1.0"
