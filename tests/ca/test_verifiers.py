"""Leaves before the verifiers of clients: OpenSSL, cryptography's (as strict as the web's), and GnuTLS."""

import shutil
import subprocess
import time
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from service_identity import VerificationError as WrongHost
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.ca.leaves import LeafMint
from registryproxy.ca.root import CertificateAuthority, load_or_create
from tests.ca.brought import authority, ec_key, pem, rsa_key
from tests.ca.handshake import agreed_protocol, certificates_sent, shake_hands

LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=2, max_size=6).map(".".join)
HOSTS = NAMES | st.ip_addresses().map(str)
LONG = f"{'a' * 60}.{'b' * 60}.example"
EXAMPLES = (
    "registry-1.docker.io",
    "my_registry.example",
    LONG,
    "xn--bcher-kva.example",
    "192.0.2.1",
    "2001:db8::1",
)


class VerifierTestCase(SynchronousTestCase):
    """Has an authority as the first start makes it, and a mint under it."""

    def setUp(self) -> None:
        """Make the authority."""
        self.authority = load_or_create(Path(self.mktemp()), time.time())
        self.mint = self.mint_under(self.authority)

    def mint_under(self, issuer: CertificateAuthority) -> LeafMint:
        """Open a mint at the time that it is."""
        clock = Clock()
        clock.advance(time.time())
        return LeafMint(issuer, clock)


class HandshakeTests(VerifierTestCase):
    """Whole handshakes with OpenSSL as Twisted's clients use it, which check the name, too."""

    def shaken(self, host: str, asked_for: str | None = None, trusted: bytes | None = None) -> bytes | None:
        """Shake hands for a host, and return the protocol agreed upon."""
        trust = trustRootFromCertificates([Certificate.loadPEM(trusted or self.mint.certificate_pem)])
        options = optionsForClientTLS(
            asked_for or host, trustRoot=trust, acceptableProtocols=[b"h2", b"http/1.1"]
        )
        return agreed_protocol(self.mint.context_for(host), options)

    @given(HOSTS)
    def test_any_host(self, host: str) -> None:
        """Whatever a registry is called, a client that trusts the authority is content."""
        self.assertEqual(self.shaken(host), b"http/1.1")

    def test_protocol(self) -> None:
        """HTTP/1.1 is agreed upon, also with those who would rather speak HTTP/2."""
        self.assertEqual(self.shaken("ghcr.io"), b"http/1.1")

    def test_no_old_tls(self) -> None:
        """A client that has nothing newer than TLS 1.1 is turned away."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        with self.assertRaises(SSL.Error):
            shake_hands(SSL.Connection(context), SSL.Connection(self.mint.context_for("ghcr.io")))

    def test_other_host(self) -> None:
        """The test would notice: a client that asked for another host is not content."""
        with self.assertRaises(WrongHost):
            self.shaken("ghcr.io", asked_for="quay.io")

    def test_other_authority(self) -> None:
        """Nor is one that trusts another authority."""
        other = load_or_create(Path(self.mktemp()), time.time())
        with self.assertRaises(SSL.Error):
            self.shaken("ghcr.io", trusted=other.certificate_pem)

    def test_root_alone_is_trusted(self) -> None:
        """Under a company's authority, clients that know only the company's root are content."""
        top_key, key = rsa_key(), ec_key()
        now = datetime.now(UTC)
        top = authority(top_key, "Root", now=now)
        issuing = authority(key, "Issuing", ("Root", top_key), now=now)
        self.mint = self.mint_under(CertificateAuthority(issuing, (), key))
        self.shaken("ghcr.io", trusted=pem(top))


class StrictTests(VerifierTestCase):
    """cryptography's verifier, which takes the rules of the web's public authorities as they are written."""

    def verified(self, host: str, asked_for: str | None = None) -> None:
        """Verify a host's chain."""
        subject: x509.DNSName | x509.IPAddress
        try:
            subject = x509.IPAddress(ip_address(asked_for or host))
        except ValueError:
            subject = x509.DNSName(asked_for or host)
        leaf, *rest = certificates_sent(self.mint.context_for(host))
        PolicyBuilder().store(Store([self.authority.certificate])).build_server_verifier(subject).verify(
            leaf, rest
        )

    @given(HOSTS)
    def test_any_host(self, host: str) -> None:
        """Nothing about a leaf is against the rules."""
        self.verified(host)

    def test_other_host(self) -> None:
        """The test would notice."""
        with self.assertRaises(VerificationError):
            self.verified("ghcr.io", asked_for="quay.io")


class ProgramTests(VerifierTestCase):
    """The programs of OpenSSL and GnuTLS, where they are installed."""

    def files(self, host: str) -> tuple[str, str]:
        """Write the authority and the leaf of a host."""
        folder = Path(self.mktemp())
        folder.mkdir()
        leaf = certificates_sent(self.mint.context_for(host))[0]
        (folder / "ca.pem").write_bytes(self.mint.certificate_pem)
        (folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        return str(folder / "ca.pem"), str(folder / "leaf.pem")

    def run_program(self, *words: str) -> str:
        """Run a program, and return what it says if it is content."""
        if shutil.which(words[0]) is None:
            self.skipTest(f"{words[0]} is not installed")
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        said = ended.stdout + ended.stderr
        self.assertEqual(ended.returncode, 0, said)
        return said

    def test_openssl(self) -> None:
        """OpenSSL at its strictest, which Python 3.13 asks for, finds nothing wrong."""
        for host in EXAMPLES:
            trusted, leaf = self.files(host)
            kind = "-verify_ip" if host in EXAMPLES[-2:] else "-verify_hostname"
            self.run_program(
                *("openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslserver"),
                *("-CAfile", trusted, "-no-CApath", "-no-CAstore", kind, host, leaf),
            )

    def test_gnutls(self) -> None:
        """GnuTLS finds nothing wrong."""
        for host in EXAMPLES:
            trusted, leaf = self.files(host)
            said = self.run_program(
                *("certtool", "--verify", "--load-ca-certificate", trusted, "--verify-hostname", host),
                *("--verify-purpose", "1.3.6.1.5.5.7.3.1", "--infile", leaf),
            )
            self.assertIn("Verified. The certificate is trusted.", said)
