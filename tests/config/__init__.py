"""Tests of L{registryproxy.config}."""
