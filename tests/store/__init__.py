"""Tests of L{registryproxy.store}."""
