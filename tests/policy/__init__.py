"""Tests of L{registryproxy.policy}."""
