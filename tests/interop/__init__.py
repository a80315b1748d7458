"""
Real clients pull real images through the real proxy, out of a real registry.

Each test builds a laboratory of its own on loopback (L{tests.interop.lab.Lab}): three of Debian's
C{docker-registry}, with certificates of a laboratory CA, and between them and the client
C{twistd registryproxy}, as an operator starts it.  What every client must be able to do is said once,
in L{tests.interop.contract}; the C{test_} module of a client says only which client it is.

Where a program is missing the tests are skipped and say so; C{tests/interop/install} brings them all.
"""
