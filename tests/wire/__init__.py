"""Tests of L{registryproxy.wire}."""
