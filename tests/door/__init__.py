"""Tests of L{registryproxy.door}."""
