"""Tests for L{registryproxy.front.setup}: the script runs in real shells, on a scratch machine."""

import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

from attrs import define, field
from hypothesis import given
from hypothesis.strategies import from_regex, text
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from registryproxy.errors import InvalidAuthority
from registryproxy.front.setup import render_systemd
from registryproxy.wire.authority import Authority

PROXY = Authority("cache.corp", 3128)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n" + b64encode(b"one").decode() + "\n-----END CERTIFICATE-----\n"
OTHER_CERTIFICATE = CERTIFICATE.replace(b64encode(b"one").decode(), b64encode(b"two").decode())
TOOLS = ("cat", "chmod", "cp", "grep", "id", "mkdir", "mktemp", "mv", "rm", "rmdir", "sed")

NOTES = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
exit "${FAILS_%s:-0}"
"""
CURL = """#!/bin/sh
echo "curl ${http_proxy-unset} ${ALL_PROXY-unset}" >>"$CALLS"
while [ $# -gt 0 ]; do
	case $1 in
	-o) out=$2; shift ;;
	http*) [ "$1" = "$SERVED_AT" ] || exit 22 ;;
	esac
	shift
done
cp "$SERVED" "$out"
"""
WGET = CURL.replace("-o)", "-O)").replace("curl", "wget")
DEBIAN = "update-ca-certificates"
RHEL = "update-ca-trust"


@define
class Run:
    """What came of one run: how it ended, what it said, and what it called."""

    status: int
    said: str
    calls: list[str]


@define(eq=False)
class Machine:
    """A machine of which nothing but a folder is real."""

    root: Path
    shell: str
    trust: str | None = DEBIAN
    fetcher: str | None = "curl"
    has_systemctl: bool = True
    served: str = CERTIFICATE
    environment: dict[str, str] = field(factory=dict)

    def run(self, *arguments: str, script: bytes | None = None) -> Run:
        """Pipe the script into the shell."""
        home = self.root.parent / "home"
        shutil.rmtree(home, ignore_errors=True)
        bins = home / "bin"
        bins.mkdir(parents=True)
        self.root.mkdir(exist_ok=True)
        for tool in (*TOOLS, self.shell, "sh"):
            found = shutil.which(tool)
            assert found, tool
            if not (bins / tool).exists():
                (bins / tool).symlink_to(found)
        fakes = {"curl": CURL, "wget": WGET}
        for name in (self.trust, self.fetcher, "systemctl" if self.has_systemctl else None):
            if name is not None:
                fake = bins / name
                fake.write_text(fakes.get(name, NOTES.replace("%s", name.replace("-", "_"))))
                fake.chmod(0o755)
        served, calls = home / "served", home / "calls"
        served.write_text(self.served)
        calls.write_text("")
        ended = subprocess.run(
            [self.shell, "-s", *arguments],
            input=render_systemd(PROXY) if script is None else script,
            capture_output=True,
            check=False,
            timeout=60,
            env={
                "PATH": str(bins),
                "TMPDIR": str(home),
                "DESTDIR": str(self.root),
                "CALLS": str(calls),
                "SERVED": str(served),
                "SERVED_AT": f"http://{PROXY}/ca.crt",
                **self.environment,
            },
        )
        said = (ended.stdout + ended.stderr).decode()
        left = [each.name for each in home.iterdir() if each.name not in {"bin", "served", "calls"}]
        assert not left, f"temporary files are left: {left}"
        return Run(ended.returncode, said, calls.read_text().splitlines())

    @property
    def files(self) -> dict[str, str]:
        """Tell what files there are, by path and content."""
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in self.root.rglob("*")
            if path.is_file()
        }


CERT_PATH = {
    DEBIAN: "usr/local/share/ca-certificates/registryproxy.crt",
    RHEL: "etc/pki/ca-trust/source/anchors/registryproxy.crt",
}
CONF_PATH = "etc/systemd/system/docker.service.d/http-proxy.conf"
FETCHED = "curl  "
RESTARTED = ["systemctl daemon-reload", "systemctl restart docker.service"]
TRUSTED = {DEBIAN: "update-ca-certificates --fresh", RHEL: "update-ca-trust "}


class RenderTests(SynchronousTestCase):
    """The script as a text."""

    def test_no_place_is_left(self) -> None:
        """The proxy's address stands in every place."""
        script = render_systemd(Authority("2001:db8::7", 80)).decode()
        self.assertNotIn("@PROXY@", script)
        self.assertIn("http://[2001:db8::7]:80/ca.crt", script)

    def test_short_lines_of_settings(self) -> None:
        """The word that people's sed looks for stands in the lines of the settings alone, at their beginnings."""
        found = [line for line in render_systemd(PROXY).decode().splitlines() if "Environment" in line]
        self.assertEqual([line.partition("=http")[0] for line in found[:1]], ['Environment="HTTPS_PROXY'])
        self.assertTrue(all(line.startswith('Environment="') and line.endswith('"') for line in found))

    @given(text() | from_regex(r"[!-~]{1,20}(:[0-9]{1,5})?", fullmatch=True))
    def test_no_address_is_more_than_a_name(self, written: str) -> None:
        """No text that is taken for an address has a character that means anything to a shell or to systemd."""
        try:
            address = Authority.parse(written, 80)
        except InvalidAuthority:
            return
        self.assertTrue(re.fullmatch(r"[a-z0-9._:\[\]-]+", str(address)), address)
        self.assertFalse(str(address).startswith("-"))


class ScriptTests(SynchronousTestCase):
    """The script as it runs by C{sh}, which is dash on Debian and Ubuntu."""

    shell = "sh"

    def setUp(self) -> None:
        """Find the shell, for bash is not on every machine."""
        if shutil.which(self.shell) is None:
            raise SkipTest(f"{self.shell} is not on this machine")

    def machine(self, trust: str | None = DEBIAN) -> Machine:
        """Take a fresh machine."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        return Machine(folder / "root", self.shell, trust)

    def test_first_run(self) -> None:
        """The first run trusts the certificate, sets the proxy, and restarts Docker; both families are served."""
        for trust in (DEBIAN, RHEL):
            machine = self.machine(trust)
            run = machine.run()
            self.assertEqual((run.status, run.calls), (0, [FETCHED, TRUSTED[trust], *RESTARTED]), run.said)
            conf = machine.files.pop(CONF_PATH)
            self.assertIn('\n[Service]\nEnvironment="HTTPS_PROXY=http://cache.corp:3128/"\n', conf)
            self.assertRegex(conf, r'\nEnvironment="NO_PROXY=localhost,127\.0\.0\.0/8,[^"]*,\.svc,[^"]*"\n\Z')
            self.assertNotIn("HTTP_PROXY=", conf.replace("HTTPS_PROXY=", ""))
            self.assertEqual(set(machine.files), {CONF_PATH, CERT_PATH[trust]})
            self.assertEqual(machine.files[CERT_PATH[trust]], CERTIFICATE)
            self.assertEqual((machine.root / CONF_PATH).stat().st_mode & 0o777, 0o644)
            for path in machine.files:
                self.assertIn(f"wrote {machine.root / path}\n", run.said)

    def test_second_run(self) -> None:
        """The second run changes nothing, and restarts nothing."""
        machine = self.machine()
        machine.run()
        before = {path: (machine.root / path).stat() for path in machine.files}
        run = machine.run()
        self.assertEqual((run.status, run.calls), (0, [FETCHED]))
        self.assertIn("nothing has changed\n", run.said)
        self.assertEqual({path: (machine.root / path).stat() for path in machine.files}, before)

    def test_new_certificate(self) -> None:
        """When the proxy has another certificate, that one is trusted, and Docker restarted to see it."""
        machine = self.machine()
        machine.run()
        machine.served = OTHER_CERTIFICATE
        run = machine.run()
        self.assertEqual(run.calls, [FETCHED, TRUSTED[DEBIAN], *RESTARTED])
        self.assertEqual(machine.files[CERT_PATH[DEBIAN]], OTHER_CERTIFICATE)

    def test_changed_settings(self) -> None:
        """When only the settings differ, the certificate is left alone."""
        machine = self.machine()
        machine.run()
        (machine.root / CONF_PATH).write_text("[Service]\n")
        self.assertEqual(machine.run().calls, [FETCHED, *RESTARTED])

    def test_undo(self) -> None:
        """C{undo} removes both files, and restarts Docker; nothing is fetched for it."""
        for trust in (DEBIAN, RHEL):
            machine = self.machine(trust)
            machine.run()
            run = machine.run("undo")
            self.assertEqual((run.status, run.calls), (0, [TRUSTED[trust], *RESTARTED]), run.said)
            self.assertEqual(machine.files, {})
            self.assertFalse((machine.root / CONF_PATH).parent.exists())

    def test_undo_twice(self) -> None:
        """What is undone, or was never done, is not undone again."""
        run = self.machine().run("undo")
        self.assertEqual((run.status, run.calls), (0, []))

    def test_undo_spares_others(self) -> None:
        """The settings that others have put beside ours stay."""
        machine = self.machine()
        machine.run()
        other = (machine.root / CONF_PATH).with_name("other.conf")
        other.write_text("theirs")
        machine.run("undo")
        self.assertEqual(list(machine.files.values()), ["theirs"])

    def test_kind(self) -> None:
        """The lines with which users of kind rewrite the script for containerd still do."""
        script = subprocess.run(
            "sed s/docker\\.service/containerd\\.service/g"
            " | sed '/Environment/ s/$/ \"NO_PROXY=127.0.0.0\\/8,10.0.0.0\\/8\"/'",
            shell=True,
            input=render_systemd(PROXY),
            capture_output=True,
            check=True,
        ).stdout
        machine = self.machine()
        run = machine.run(script=script)
        self.assertEqual(
            run.calls,
            [FETCHED, TRUSTED[DEBIAN], "systemctl daemon-reload", "systemctl restart containerd.service"],
        )
        conf = machine.files[CONF_PATH.replace("docker", "containerd")]
        self.assertIn(
            '\nEnvironment="HTTPS_PROXY=http://cache.corp:3128/" "NO_PROXY=127.0.0.0/8,10.0.0.0/8"\n', conf
        )
        self.assertTrue(conf.endswith(' "NO_PROXY=127.0.0.0/8,10.0.0.0/8"\n'))  # the last one wins

    def test_wget(self) -> None:
        """Without curl, wget does."""
        machine = self.machine()
        machine.fetcher = "wget"
        run = machine.run()
        self.assertEqual((run.status, machine.files[CERT_PATH[DEBIAN]]), (0, CERTIFICATE), run.said)

    def test_proxies_of_root(self) -> None:
        """The proxy is asked directly, whatever proxies the environment names."""
        machine = self.machine()
        machine.environment = {"http_proxy": "http://elsewhere:1", "ALL_PROXY": "http://elsewhere:1"}
        self.assertEqual(machine.run().calls[0], FETCHED)

    def test_no_systemctl(self) -> None:
        """Where nothing can be restarted, that is said."""
        machine = self.machine()
        machine.has_systemctl = False
        run = machine.run()
        self.assertEqual(run.status, 0)
        self.assertIn("restart docker.service yourself", run.said)

    def test_truncated(self) -> None:
        """A script that arrives cut off does nothing at all."""
        script = render_systemd(PROXY)
        lines = script.splitlines(keepends=True)
        for count in range(0, len(lines), 7):
            machine = self.machine()
            run = machine.run(script=b"".join(lines[:count]))
            self.assertEqual((run.calls, machine.files), ([], {}), count)
        machine = self.machine()
        machine.run(script=b"".join(lines[:-1]))
        self.assertEqual(machine.files, {})


class BashTests(ScriptTests):
    """By bash."""

    shell = "bash"


class TroubleTests(SynchronousTestCase):
    """What goes wrong leaves the machine as it was, and says so in a sentence."""

    def machine(self) -> Machine:
        """Take a fresh machine."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        return Machine(folder / "root", "sh")

    def assert_refused(self, machine: Machine, sentence: str, *arguments: str) -> None:
        """Assert that a run fails, says why, and changes nothing."""
        run = machine.run(*arguments)
        self.assertEqual((run.status, machine.files), (1, {}), run.said)
        self.assertIn(sentence, run.said)
        self.assertEqual([call for call in run.calls if call.startswith("systemctl")], [])

    def test_no_certificate(self) -> None:
        """What is no certificate, or has a key in it, is not trusted."""
        for served in (
            "",
            "<html>captive portal</html>",
            "x\n" + CERTIFICATE,
            CERTIFICATE[:-5],
            CERTIFICATE + "PRIVATE KEY",
        ):
            machine = self.machine()
            machine.served = served
            self.assert_refused(machine, "is no certificate")

    def test_cannot_fetch(self) -> None:
        """A proxy that is not there changes nothing."""
        machine = self.machine()
        machine.environment = {"SERVED_AT": "elsewhere"}
        self.assert_refused(machine, "cannot be fetched")

    def test_no_fetcher(self) -> None:
        """Without curl and wget nothing can be fetched."""
        machine = self.machine()
        machine.fetcher = None
        self.assert_refused(machine, "neither curl nor wget")

    def test_no_trust_store(self) -> None:
        """On a system of neither family nothing is done."""
        machine = self.machine()
        machine.trust = None
        self.assert_refused(machine, "install the package ca-certificates")

    def test_not_root(self) -> None:
        """Who is not root is told so, before anything is done."""
        machine = self.machine()
        script = render_systemd(PROXY).replace(b"id -u", b"echo 1000")
        machine.environment = {"DESTDIR": ""}
        run = machine.run(script=script)
        self.assertEqual((run.status, run.calls), (1, []))
        self.assertIn("as root", run.said)

    def test_unknown_argument(self) -> None:
        """An argument that means nothing is refused."""
        self.assert_refused(self.machine(), "not remove", "remove")

    def test_trust_store_fails(self) -> None:
        """When the certificate cannot be taken in, it is taken away, so that the next run tries again."""
        machine = self.machine()
        machine.environment = {"FAILS_update_ca_certificates": "1"}
        self.assert_refused(machine, "could not be updated")
        machine.environment = {}
        self.assertEqual(machine.run().calls, [FETCHED, TRUSTED[DEBIAN], *RESTARTED])

    def test_restart_fails(self) -> None:
        """A Docker that does not restart is a failure, and the user is told where to look."""
        machine = self.machine()
        machine.environment = {"FAILS_systemctl": "1"}
        run = machine.run()
        self.assertEqual(run.status, 1)
        self.assertIn("systemctl daemon-reload failed", run.said)
