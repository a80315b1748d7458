"""Tests for L{registryproxy.ca.leaves}."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from registryproxy.ca import leaves
from registryproxy.ca.leaves import LIFE, LeafMint
from registryproxy.ca.root import CertificateAuthority
from registryproxy.errors import CAUnusable, InvalidAuthority
from registryproxy.interfaces import ILeafMint
from tests.ca.brought import NOW, YEAR, Key, authority, ec_key, rsa_key
from tests.ca.handshake import certificates_sent

DAY = 86400.0
LONG = f"{'a' * 60}.{'b' * 60}.example"


class LeafTestCase(SynchronousTestCase):
    """Has an authority, and a mint whose clock stands at noon."""

    def setUp(self) -> None:
        """Open the mint."""
        self.key = ec_key()
        self.open_mint()

    def open_mint(self, key: Key | None = None, *others: x509.Certificate, **properties: Any) -> None:
        """Open a mint under an authority with these properties."""
        key = key or self.key
        self.certificate = authority(key, **properties)
        self.clock = Clock()
        self.clock.advance(NOW.timestamp())
        self.mint = LeafMint(CertificateAuthority(self.certificate, others, key), self.clock)

    def leaf(self, host: str = "ghcr.io") -> x509.Certificate:
        """Return what a client of that host is shown."""
        return certificates_sent(self.mint.context_for(host))[0]

    def extension(self, leaf: x509.Certificate, kind: type[Any]) -> Any:
        """Return an extension."""
        return leaf.extensions.get_extension_for_class(kind)


class LeafTests(LeafTestCase):
    """What a leaf says."""

    def test_mint(self) -> None:
        """The mint is what the interface promises."""
        self.assertTrue(verifyObject(ILeafMint, self.mint))
        self.assertEqual(self.mint.certificate_pem, self.certificate.public_bytes(serialization.Encoding.PEM))

    def test_issued(self) -> None:
        """A leaf is issued by the authority, and is none itself."""
        leaf = self.leaf()
        leaf.verify_directly_issued_by(self.certificate)
        constraints = self.extension(leaf, x509.BasicConstraints)
        self.assertEqual((constraints.critical, constraints.value.ca), (True, False))

    def test_use(self) -> None:
        """A leaf may sign handshakes of a server, and nothing else."""
        usage = self.extension(self.leaf(), x509.KeyUsage)
        self.assertTrue(usage.critical)
        self.assertTrue(usage.value.digital_signature)
        self.assertFalse(usage.value.key_cert_sign or usage.value.key_encipherment or usage.value.crl_sign)
        extended = self.extension(self.leaf(), x509.ExtendedKeyUsage).value
        self.assertEqual(list(extended), [ExtendedKeyUsageOID.SERVER_AUTH])

    def test_name(self) -> None:
        """A DNS name is the one alternative name, and the common name for those who still look there."""
        leaf = self.leaf()
        names = self.extension(leaf, x509.SubjectAlternativeName)
        self.assertEqual((names.critical, list(names.value)), (False, [x509.DNSName("ghcr.io")]))
        self.assertEqual(leaf.subject.rfc4514_string(), "CN=ghcr.io")

    def test_address(self) -> None:
        """An IP address is an alternative name of its own kind: clients accept no other for it."""
        for address in ("192.0.2.1", "2001:db8::1"):
            names = self.extension(self.leaf(address), x509.SubjectAlternativeName).value
            self.assertEqual(list(names), [x509.IPAddress(ip_address(address))])

    def test_long_name(self) -> None:
        """A name that is too long for a common name leaves the subject empty; the other is critical then."""
        leaf = self.leaf(LONG)
        names = self.extension(leaf, x509.SubjectAlternativeName)
        self.assertEqual((names.critical, list(names.value)), (True, [x509.DNSName(LONG)]))
        self.assertEqual(list(leaf.subject), [])

    def test_longest_common_name(self) -> None:
        """64 characters fit, 65 do not."""
        for length, count in ((64, 1), (65, 0)):
            self.assertEqual(len(list(self.leaf("a" * 60 + "." + "b" * (length - 61)).subject)), count)

    def test_one_spelling(self) -> None:
        """A host has one leaf, however it is spelled."""
        self.assertIs(self.mint.context_for("GHCR.io."), self.mint.context_for("ghcr.io"))
        self.assertIs(self.mint.context_for("2001:DB8::0:1"), self.mint.context_for("2001:db8::1"))

    def test_no_wildcard(self) -> None:
        """Whatever is asked for, no leaf says more than one host."""
        for host in ("*.io", "*", "", "ghcr.io:443", "a b", "127.1", "ghcr.io\0.example"):
            with self.assertRaises(InvalidAuthority):
                self.mint.context_for(host)

    def test_key_identifier(self) -> None:
        """The authority's key is called just what its certificate calls it."""
        named = self.extension(self.certificate, x509.SubjectKeyIdentifier).value
        self.assertEqual(
            self.extension(self.leaf(), x509.AuthorityKeyIdentifier).value.key_identifier, named.digest
        )

    def test_authority_without_identifier(self) -> None:
        """Where the certificate does not say, the identifier is computed from its key."""
        self.open_mint(has_identifier=False)
        computed = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        self.assertEqual(
            self.extension(self.leaf(), x509.AuthorityKeyIdentifier).value.key_identifier, computed.digest
        )

    def test_shared_key(self) -> None:
        """All leaves share one key, which is not the authority's."""
        one, two = self.leaf("one.example").public_key(), self.leaf("two.example").public_key()
        assert isinstance(one, ec.EllipticCurvePublicKey)
        self.assertEqual(one, two)
        self.assertEqual(one.curve.name, "secp256r1")
        self.assertNotEqual(one, self.key.public_key())

    def test_serial_numbers(self) -> None:
        """No two leaves of one issuer have the same number: NSS refuses the second one for good."""
        self.assertNotEqual(self.leaf("one.example").serial_number, self.leaf("two.example").serial_number)

    def test_rsa_authority(self) -> None:
        """An authority on RSA signs leaves on P-256."""
        self.open_mint(rsa_key())
        self.leaf().verify_directly_issued_by(self.certificate)

    def test_secrets_are_not_shown(self) -> None:
        """What is logged of a mint has nothing of a key."""
        self.assertNotIn("rivateKey", repr(self.mint))


class ChainTests(LeafTestCase):
    """What is sent behind a leaf."""

    def sent(self) -> list[x509.Certificate]:
        """Return what a client is shown behind the leaf."""
        return certificates_sent(self.mint.context_for("ghcr.io"))[1:]

    def test_root(self) -> None:
        """A root is not sent: who trusts it has it."""
        self.assertEqual(self.sent(), [])

    def test_intermediate(self) -> None:
        """An authority under a company's root is sent, for clients may trust the root alone."""
        top_key = ec_key()
        self.open_mint(name="Issuing", issuer=("Root", top_key))
        self.assertEqual(self.sent(), [self.certificate])

    def test_chain(self) -> None:
        """All that leads to the root is sent, in the order of the file, without the root."""
        top_key, middle_key = ec_key(), ec_key()
        middle = authority(middle_key, "Middle", ("Root", top_key))
        top = authority(top_key, "Root")
        self.open_mint(None, middle, top, name="Issuing", issuer=("Middle", middle_key))
        self.assertEqual(self.sent(), [self.certificate, middle])


class LifeTests(LeafTestCase):
    """When leaves begin, are renewed, and end."""

    def test_life(self) -> None:
        """A leaf began a day ago, for clients whose clocks are slow, and lives for 90 days in all."""
        leaf = self.leaf()
        self.assertEqual(leaf.not_valid_before_utc, NOW - timedelta(days=1))
        self.assertEqual(leaf.not_valid_after_utc - leaf.not_valid_before_utc, timedelta(days=90))
        self.assertEqual(timedelta(days=90), LIFE)

    def test_kept(self) -> None:
        """A host's leaf is minted once."""
        context = self.mint.context_for("ghcr.io")
        self.clock.advance(DAY)
        self.assertIs(self.mint.context_for("ghcr.io"), context)

    def test_renewed(self) -> None:
        """When less than a third of its life remains, a leaf is replaced at its next use, without a restart."""
        context = self.mint.context_for("ghcr.io")
        self.clock.advance(59 * DAY - 1)
        self.assertIs(self.mint.context_for("ghcr.io"), context)
        self.clock.advance(1)
        self.assertIsNot(self.mint.context_for("ghcr.io"), context)
        self.assertEqual(self.leaf().not_valid_before_utc, NOW + timedelta(days=58))

    @given(st.lists(st.floats(0, 200 * DAY), min_size=1, max_size=20))
    def test_never_served_ended(self, steps: list[float]) -> None:
        """However long nobody comes, whoever comes is shown a leaf that is good for another 30 days."""
        self.open_mint(ends=NOW + 20 * YEAR)
        for step in steps:
            self.clock.advance(step)
            leaf, now = self.leaf(), datetime.fromtimestamp(self.clock.seconds(), UTC)
            self.assertLessEqual(leaf.not_valid_before_utc, now - timedelta(days=1))
            self.assertGreaterEqual(leaf.not_valid_after_utc, now + timedelta(days=30) - timedelta(seconds=1))

    def test_clock_set_back(self) -> None:
        """A leaf that was minted while the clock was wrong is replaced once it is right."""
        self.mint.context_for("ghcr.io")
        self.clock.rightNow -= 30 * DAY
        self.assertEqual(self.leaf().not_valid_before_utc, NOW - timedelta(days=31))

    def test_not_before_the_authority(self) -> None:
        """A leaf does not begin before its authority: some verifiers mind."""
        self.clock.rightNow = (NOW - YEAR).timestamp()
        self.assertEqual(self.leaf().not_valid_before_utc, NOW - YEAR)

    def test_not_beyond_the_authority(self) -> None:
        """A leaf ends with its authority at the latest."""
        self.open_mint(ends=NOW + timedelta(days=10))
        self.assertEqual(self.leaf().not_valid_after_utc, NOW + timedelta(days=10))

    def test_last_leaf(self) -> None:
        """A leaf that ends with its authority is not replaced: a fresh one would end no later."""
        self.open_mint(ends=NOW + timedelta(days=10))
        context = self.mint.context_for("ghcr.io")
        self.clock.advance(10 * DAY - 1)
        self.assertIs(self.mint.context_for("ghcr.io"), context)

    def test_authority_ended(self) -> None:
        """When the authority has ended, no leaf is shown that nobody would trust; the sentence has the remedy."""
        self.open_mint(ends=NOW + timedelta(days=10))
        self.mint.context_for("ghcr.io")
        self.clock.advance(10 * DAY)
        with self.assertRaisesRegex(CAUnusable, "ended on 2026-12-03: .*CA_CRT_FILE"):
            self.mint.context_for("ghcr.io")

    def test_bounded(self) -> None:
        """However many hosts are asked for, so many leaves are kept, those that were last asked for."""
        self.assertEqual(leaves.MAX_KEPT, 1024)
        self.patch(leaves, "MAX_KEPT", 3)
        first, second = (self.mint.context_for(f"{name}.example") for name in ("a", "b"))
        self.mint.context_for("c.example")
        self.assertIs(self.mint.context_for("a.example"), first)
        self.mint.context_for("d.example")
        self.assertIs(self.mint.context_for("a.example"), first)
        self.assertIsNot(self.mint.context_for("b.example"), second)
