"""Tests for L{registryproxy.ca.root}, and for the files that it makes and reads."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.ca import root
from registryproxy.ca.root import load, load_or_create
from registryproxy.errors import CAUnusable
from tests.ca.brought import NOW, YEAR, authority, ec_key, key_pem, pem, put, rsa_key

ROOT = Path(root.__file__).parents[2]


class Killed(BaseException):
    """Stands for the process dying: nothing that is there for errors runs."""


class CreateTests(SynchronousTestCase):
    """Tests for L{load_or_create}."""

    def setUp(self) -> None:
        """Name a directory that does not exist yet."""
        self.ca_dir = Path(self.mktemp()) / "state" / "ca"
        self.certificate, self.key = self.ca_dir / "ca.crt", self.ca_dir / "ca.key"

    def make(self, now: datetime = NOW) -> root.CertificateAuthority:
        """Load, or create."""
        return load_or_create(self.ca_dir, now.timestamp())

    def test_made_once(self) -> None:
        """The first start makes an authority, and each later one loads the same."""
        self.assertEqual(self.make().certificate, self.make(NOW + YEAR).certificate)

    def test_what_it_is(self) -> None:
        """It is an authority on P-256 with none below it, good for ten years from a day ago."""
        certificate = self.make().certificate
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        self.assertEqual(key.curve.name, "secp256r1")
        self.assertEqual(certificate.not_valid_before_utc, NOW - timedelta(days=1))
        self.assertEqual(certificate.not_valid_after_utc, NOW + timedelta(days=3651))
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertEqual(
            (constraints.critical, constraints.value.ca, constraints.value.path_length), (True, True, 0)
        )
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        self.assertEqual(
            (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature),
            (True, True, True, False),
        )
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).critical)
        certificate.verify_directly_issued_by(certificate)

    def test_told_apart(self) -> None:
        """Two authorities of one day have different names, so that a person can tell them apart on a client."""
        names = {load_or_create(self.ca_dir / name, NOW.timestamp()).certificate.subject for name in "ab"}
        self.assertEqual(len(names), 2)
        for name in names:
            self.assertIn("registryproxy CA 2026-11-23 ", name.rfc4514_string())

    def test_permissions(self) -> None:
        """Nobody else can read the key or list its directory, and everybody may read the certificate."""
        previous = os.umask(0)
        self.addCleanup(os.umask, previous)
        self.make()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (self.ca_dir, self.key, self.certificate)]
        self.assertEqual(modes, [0o700, 0o600, 0o644])

    def test_private_from_the_first_instant(self) -> None:
        """At no time is there a file with the key in it that others could open."""
        previous = os.umask(0)
        self.addCleanup(os.umask, previous)
        modes: list[int] = []
        real_fdopen = os.fdopen

        def looking(handle: int, mode: str) -> object:
            modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
            self.assertEqual(os.fstat(handle).st_size, 0)
            return real_fdopen(handle, mode)

        with patch("os.fdopen", looking):
            self.make()
        self.assertEqual(modes, [0o600, 0o644])

    def test_existing_directory_is_left_as_it_is(self) -> None:
        """A directory that the operator made keeps its permissions."""
        self.ca_dir.mkdir(parents=True, mode=0o755)
        self.make()
        self.assertEqual(stat.S_IMODE(self.ca_dir.stat().st_mode), 0o755)

    def test_killed_at_any_point(self) -> None:
        """Wherever the process dies while it makes the two, the next start has a whole authority."""
        for step in ("os.fsync", "pathlib.Path.replace"):
            for last in range(1, 5):
                ca_dir = self.ca_dir / f"{step}-{last}"
                self.assertTrue(self.die_at(step, last, ca_dir), (step, last))
                made = load_or_create(ca_dir, NOW.timestamp())
                self.assertEqual(load_or_create(ca_dir, NOW.timestamp()).certificate, made.certificate)
                self.assertEqual(
                    sorted(path.name for path in ca_dir.iterdir()), [".ca.lock", "ca.crt", "ca.key"]
                )
                if step == "pathlib.Path.replace" and last == 2:
                    break

    def die_at(self, step: str, last: int, ca_dir: Path) -> bool:
        """Make an authority in a process that dies after so many steps; tell whether it came to that."""
        module, _, name = step.rpartition(".")
        owner = Path if module == "pathlib.Path" else os
        real = getattr(owner, name)
        steps = 0

        def dying(*arguments: object) -> object:
            nonlocal steps
            steps += 1
            if steps == last:
                raise Killed
            return real(*arguments)

        with patch.object(owner, name, dying):
            try:
                load_or_create(ca_dir, NOW.timestamp())
            except Killed:
                return True
        return False

    def test_key_alone_is_kept(self) -> None:
        """A key without a certificate is given a new one: it may be somebody's own, and is never thrown away."""
        self.make()
        secret = self.key.read_bytes()
        self.certificate.unlink()
        made = self.make()
        self.assertEqual(self.key.read_bytes(), secret)
        self.assertEqual(load(self.certificate, self.key, NOW.timestamp()).certificate, made.certificate)

    def test_key_alone_that_is_none(self) -> None:
        """A file that is no key, where the key should be, is not overwritten, but named."""
        self.ca_dir.mkdir(parents=True)
        self.key.write_text("my precious")
        with self.assertRaisesRegex(CAUnusable, "ca.key holds no private key"):
            self.make()
        self.assertEqual(self.key.read_text(), "my precious")

    def test_certificate_alone(self) -> None:
        """A certificate without its key is named, and left for the operator to decide upon."""
        self.make()
        self.key.unlink()
        with self.assertRaisesRegex(CAUnusable, "ca.key is missing"):
            self.make()
        self.assertTrue(self.certificate.exists())

    def test_not_writable(self) -> None:
        """A directory that cannot be made is named, with the setting that says where it is."""
        parent = self.ca_dir.parent
        parent.parent.mkdir(parents=True)
        parent.write_text("in the way")
        with self.assertRaisesRegex(CAUnusable, r"state/ca \(Not a directory\).*CA_DIR=/var/lib"):
            self.make()

    def test_read_only_volume(self) -> None:
        """Once filled, the directory need not be writable: nothing is written there again."""
        self.make()
        self.ca_dir.joinpath(".ca.lock").unlink()
        before = sorted(self.ca_dir.iterdir())
        self.make()
        self.assertEqual(sorted(self.ca_dir.iterdir()), before)

    def test_started_together(self) -> None:
        """Processes that start at the same time end up with the same authority."""
        program = (
            "import pathlib, sys, time; from registryproxy.ca.root import load_or_create\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "ca = load_or_create(pathlib.Path(sys.argv[1]), time.time())\n"
            "print(ca.certificate.serial_number)"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(self.ca_dir.absolute())],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        serials = {process.communicate(timeout=60)[0] for process in processes}
        self.assertEqual([process.returncode for process in processes], [0] * 4)
        self.assertEqual(len(serials), 1)

    def test_secrets_are_not_shown(self) -> None:
        """Neither what is logged of an authority nor what clients are given has anything of its key."""
        made = self.make()
        self.assertNotIn("rivateKey", repr(made))
        self.assertNotIn(b"PRIVATE", made.certificate_pem)
        self.assertEqual(made.certificate_pem, self.certificate.read_bytes())


class LoadTests(SynchronousTestCase):
    """Tests for L{load}."""

    def setUp(self) -> None:
        """Have a key."""
        self.folder = Path(self.mktemp())
        self.ec_key = ec_key()

    def loaded(self, certificates: bytes, key: bytes, now: datetime = NOW) -> root.CertificateAuthority:
        """Load these from files."""
        return load(*put(self.folder, certificates, key), now.timestamp())

    def assertUnusable(self, sentence: str, certificates: bytes, key: bytes) -> None:
        """Fail unless these are refused for that reason."""
        with self.assertRaisesRegex(CAUnusable, sentence):
            self.loaded(certificates, key)

    def test_rsa(self) -> None:
        """An authority on RSA does as well."""
        key = rsa_key()
        certificate = authority(key)
        self.assertEqual(self.loaded(pem(certificate), key_pem(key)).certificate, certificate)

    def test_first_certificate_signs(self) -> None:
        """The file may hold a chain: the first one signs, and clients are given all of them."""
        root_key = ec_key()
        top = authority(root_key, "Root")
        issuing = authority(self.ec_key, "Issuing", ("Root", root_key))
        loaded = self.loaded(pem(issuing, top), key_pem(self.ec_key))
        self.assertEqual(loaded.certificate, issuing)
        self.assertEqual(loaded.certificate_pem, pem(issuing, top))
        self.assertEqual(loaded.intermediates, (issuing,))

    def test_key_in_the_certificate_file(self) -> None:
        """Both may be in one file; clients are given the certificate alone."""
        certificate = authority(self.ec_key)
        both = key_pem(self.ec_key) + pem(certificate)
        self.assertEqual(self.loaded(both, both).certificate_pem, pem(certificate))

    def test_seed_volume(self) -> None:
        """The predecessor's key is encrypted with a passphrase that everybody knows; its volume can be kept."""
        key = rsa_key()
        for traditional in (False, True):
            encrypted = key_pem(key, b"foobar", traditional=traditional)
            self.assertIn(b"ENCRYPTED", encrypted)
            self.loaded(pem(authority(key)), encrypted)

    def test_encrypted(self) -> None:
        """Any other encrypted key is refused, and the sentence says how to decrypt it."""
        self.assertUnusable(
            "corporate.key is encrypted with a passphrase: decrypt it, as with openssl pkey",
            pem(authority(self.ec_key)),
            key_pem(self.ec_key, b"secret"),
        )

    def test_not_an_authority(self) -> None:
        """A server's certificate cannot sign others."""
        for certificate in (authority(self.ec_key, is_ca=False), authority(self.ec_key, signs=False)):
            self.assertUnusable(
                "corporate.pem is no certificate authority", pem(certificate), key_pem(self.ec_key)
            )

    def test_without_key_usage(self) -> None:
        """A certificate that says nothing of its use may be used for anything."""
        self.loaded(pem(authority(self.ec_key, signs=None)), key_pem(self.ec_key))

    def test_wrong_key(self) -> None:
        """The two files must belong together."""
        self.assertUnusable(
            "corporate.key is not the key of .*corporate.pem", pem(authority(self.ec_key)), key_pem(ec_key())
        )

    def test_ended(self) -> None:
        """An authority that has ended is refused on the second, with the day on which it did."""
        certificate, key = pem(authority(self.ec_key, ends=NOW)), key_pem(self.ec_key)
        self.loaded(certificate, key, NOW - timedelta(seconds=1))
        self.assertUnusable("corporate.pem ended on 2026-11-23", certificate, key)

    def test_no_certificate(self) -> None:
        """A file without a certificate is named."""
        self.assertUnusable("corporate.pem holds no certificate", b"hello", key_pem(self.ec_key))
        self.assertUnusable("corporate.pem holds no certificate", key_pem(self.ec_key), key_pem(self.ec_key))

    def test_no_key(self) -> None:
        """A file without a key is named."""
        certificate = pem(authority(self.ec_key))
        self.assertUnusable("corporate.key holds no private key", certificate, b"")
        self.assertUnusable("corporate.key holds no private key", certificate, certificate)

    def test_key_that_cannot_sign(self) -> None:
        """A key of another kind is refused."""
        key = dsa.generate_private_key(1024).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.assertUnusable("corporate.key is a key that cannot sign", pem(authority(self.ec_key)), key)

    def test_missing(self) -> None:
        """A file that is not there is named."""
        with self.assertRaisesRegex(CAUnusable, "nowhere.pem is missing"):
            load(Path("nowhere.pem"), Path("nowhere.key"), NOW.timestamp())

    def test_unreadable(self) -> None:
        """A file that may not be read is named, with what the system said."""
        denied = PermissionError(13, "Permission denied")
        with (
            patch.object(Path, "read_bytes", side_effect=denied),
            self.assertRaisesRegex(
                CAUnusable, r"corporate.pem cannot be read \(Permission denied\): let the user"
            ),
        ):
            self.loaded(pem(authority(self.ec_key)), key_pem(self.ec_key))

    def test_folder_in_place_of_a_file(self) -> None:
        """A folder, which is what docker mounts for a file that is missing, is named."""
        with self.assertRaisesRegex(CAUnusable, r"cannot be read \(Is a directory\)"):
            load(Path(), Path(), NOW.timestamp())

    def test_ends_at(self) -> None:
        """The end is told in POSIX seconds, for the metrics."""
        loaded = self.loaded(pem(authority(self.ec_key, ends=NOW + YEAR)), key_pem(self.ec_key))
        self.assertEqual(datetime.fromtimestamp(loaded.ends_at, UTC), NOW + YEAR)
