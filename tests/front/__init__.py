"""Tests of L{registryproxy.front}."""
