"""The proxy's certificates before OpenSSL and GnuTLS, which verify; Go's verifier is in every engine that pulls."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.interop import contract
from tests.interop.lab import Lab
from tests.interop.needs import SEARCH_PATH, reason_to_skip
from tests.interop.processes import PATIENCE, run


class CurlTests(contract.LabTestCase):
    """curl, which verifies with OpenSSL."""

    skip = reason_to_skip("curl")

    def asked(self, trusted: Path) -> bytes:
        """Return what curl gets of the registry's C{/v2/} through the proxy, if it trusts a CA."""
        target = f"https://{self.lab.one.authority}/v2/"
        words = ["--silent", "--show-error", "--fail", "--write-out", "%{http_code} %{ssl_verify_result}"]
        trust = ["--cacert", str(trusted), "--capath", str(self.lab.scratch)]
        return run(
            ["curl", *words, *trust, "--output", "/dev/null", "--proxy", self.lab.proxy.url, target], {}
        )

    def test_trusts_the_given_ca(self) -> None:
        """Whoever trusts the CA that the proxy gives away is content with the registry's certificate."""
        self.assertEqual(self.asked(self.lab.proxy.ca_file), b"200 0")

    def test_trusts_nothing_else(self) -> None:
        """Whoever trusts only the registry's own CA is not, so it is the proxy who answers, and curl does look."""
        refusal = self.assertRaises(AssertionError, self.asked, self.lab.scratch / "lab-ca.pem")
        self.assertIn("ended with 60", str(refusal))


class WgetTests(contract.LabTestCase):
    """wget, which verifies with GnuTLS in Debian."""

    skip = reason_to_skip("wget")

    def test_trusts_the_given_ca(self) -> None:
        """Whoever trusts the CA that the proxy gives away is content with the registry's certificate."""
        self.assertIn(b"+ssl/gnutls", run(["wget", "--version"], {}))
        trust = [f"--ca-certificate={self.lab.proxy.ca_file}", f"--ca-directory={self.lab.scratch}"]
        target = f"https://{self.lab.one.authority}/v2/"
        command = ["wget", "--quiet", "--output-document=-", *trust, target]
        environment = {"HOME": str(self.lab.scratch), "https_proxy": self.lab.proxy.url}
        self.assertEqual(run(command, environment), b"{}")


class OpensslTests(contract.LabTestCase):
    """C{openssl s_client}, told to be strict, as Python's own clients are since 3.13."""

    skip = reason_to_skip("openssl")

    def test_strictly_to_the_letter(self) -> None:
        """The certificates are as RFC 5280 wants them, also where most verifiers look away."""
        host, port = self.lab.one.host, self.lab.one.port
        way = ["-connect", f"{host}:{port}", "-proxy", self.lab.proxy.url.removeprefix("http://")]
        trust = ["-CAfile", str(self.lab.proxy.ca_file), "-no-CApath", "-no-CAstore"]
        strict = ["-x509_strict", "-verify_return_error", "-verify_hostname", host, "-servername", host]
        said = run(["openssl", "s_client", *way, *trust, *strict], {})
        self.assertIn(b"Verification: OK", said)


class GnutlsTests(contract.LabTestCase):
    """C{gnutls-cli}, which tells what it thinks of each certificate."""

    skip = reason_to_skip("gnutls-cli")

    def test_trusts_the_given_ca(self) -> None:
        """GnuTLS finds the chain and the name in order, and nothing to warn of."""
        said = converse(self.lab)
        self.assertIn("HTTP/1.1 200", said)
        self.assertIn("Status: The certificate is trusted.", said)
        self.assertNotIn("*** Fatal error", said)


def converse(lab: Lab) -> str:
    """
    Have gnutls-cli ask the proxy for a way to registry one, and then verify who is at its end.

    It speaks in the clear until its standard input ends, and begins with TLS then.

    @return: all that it said.
    """
    authority = f"{lab.one.host}:{lab.one.port}"
    host, _, port = lab.proxy.url.removeprefix("http://").partition(":")
    names = [f"--sni-hostname={lab.one.host}", f"--verify-hostname={lab.one.host}"]
    trust = f"--x509cafile={lab.proxy.ca_file}"
    command = ["gnutls-cli", "--starttls", trust, *names, "--port", port, host]
    with subprocess.Popen(
        ["timeout", f"{PATIENCE:.0f}", *command],  # a proxy that says nothing shall not hang the tests
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": SEARCH_PATH},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        process.stdin.flush()
        heard = [process.stdout.readline()]
        while heard[-1] and not heard[-1].startswith(b"HTTP/1.1"):
            heard.append(process.stdout.readline())
        rest, _ = process.communicate()
        return b"".join([*heard, rest]).decode(errors="replace")
