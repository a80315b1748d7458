"""Tests of L{registryproxy.ca}."""
