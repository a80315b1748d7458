"""Tests of L{registryproxy.upstream}."""
