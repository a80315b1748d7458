"""Tests for L{registryproxy.upstream.trust}; the handshakes are in tests/integration/test_upstream_sockets.py."""

from pathlib import Path

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface.verify import verifyObject

from registryproxy.errors import ConfigError
from registryproxy.upstream.trust import UpstreamTrust
from registryproxy.wire.authority import Authority
from tests.support.server_certificates import Signer


class TrustTests(SynchronousTestCase):
    """Whom we believe."""

    def test_provides_the_interfaces(self) -> None:
        """It is a policy as Twisted wants it, and so is what it gives."""
        trust = UpstreamTrust.of(None, lambda _: False)
        self.assertTrue(verifyObject(IPolicyForHTTPS, trust))
        creator = trust.creatorForNetloc(b"one.test", 443)
        self.assertTrue(verifyObject(IOpenSSLClientConnectionCreator, creator))

    def test_files_that_are_none(self) -> None:
        """A file that is missing, empty, a folder or no PEM stops the start, in a sentence that names the setting."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "empty").write_bytes(b"")
        (folder / "rubbish").write_bytes(b"-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n")
        for path in (folder / "missing", folder / "empty", folder / "rubbish", folder):
            refused = self.assertRaises(ConfigError, UpstreamTrust.of, path, lambda _: False)
            self.assertIn("UPSTREAM_CA_FILE", str(refused))
            self.assertIn(str(path), str(refused))

    def test_file_that_is_one(self) -> None:
        """A file with certificates is taken."""
        path = Signer.create().write_to(Path(self.mktemp()))
        UpstreamTrust.of(path, lambda _: False)

    def test_who_is_asked_about(self) -> None:
        """Whether a host is exempt is asked with its port, in the form in which settings name it."""
        asked: list[Authority] = []

        def is_insecure(authority: Authority) -> bool:
            asked.append(authority)
            return False

        trust = UpstreamTrust.of(None, is_insecure)
        for host, port in (
            (b"one.test", 443),
            (b"CDN.Test.", 5000),
            (b"::1", 443),
            (b"[::1]", 443),
            (b"a_b", 1),
        ):
            trust.creatorForNetloc(host, port)
        self.assertEqual(
            asked,
            [
                Authority("one.test", 443),
                Authority("cdn.test", 5000),
                Authority("::1", 443),
                Authority("::1", 443),
                Authority("a_b", 1),
            ],
        )
