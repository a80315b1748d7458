"""Tests of L{registryproxy.oci}."""
