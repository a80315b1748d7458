"""Tests of L{registryproxy.pull}."""
