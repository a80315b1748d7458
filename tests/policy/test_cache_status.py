"""Tests for L{registryproxy.policy.cache_status}."""

import re

from twisted.trial.unittest import SynchronousTestCase

from registryproxy.policy.cache_status import cache_status
from registryproxy.policy.outcome import Outcome

# RFC 8941, section 4.1: a token, and parameters that are tokens, integers or flags.
GRAMMAR = re.compile(
    r"[A-Za-z*][!-~]*?(; [a-z][a-z0-9_.*-]*(=([A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*|[0-9]+))?)*"
)
# RFC 9211, sections 2.1 to 2.8.
REASONS = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}


def parameters(value: str) -> dict[str, str | bool]:
    """Read the parameters of a list with one member."""
    found: dict[str, str | bool] = {}
    for part in value.split("; ")[1:]:
        name, mark, written = part.partition("=")
        found[name] = written if mark else True
    return found


class CacheStatusTests(SynchronousTestCase):
    """The words of RFC 9211 for the words of nginx."""

    def test_grammar(self) -> None:
        """Every outcome has a value that a reader of structured fields can read, and our name in front."""
        for outcome in (None, *Outcome):
            value = cache_status(outcome)
            self.assertTrue(GRAMMAR.fullmatch(value), value)
            self.assertEqual(value.split(";")[0], "registryproxy")

    def test_hit_or_forwarded(self) -> None:
        """An answer is a hit or was forwarded, for one of the reasons that there are; never both, as the RFC asks."""
        for outcome in (None, *Outcome):
            found = parameters(cache_status(outcome))
            self.assertNotEqual("hit" in found, "fwd" in found, outcome)
            self.assertIn(found.get("fwd"), {None, *REASONS}, outcome)
            if "hit" in found:
                self.assertFalse({"stored", "collapsed", "fwd-status"} & set(found), outcome)

    def test_table(self) -> None:
        """Who reads it can tell what was stored, what was shared, and what nobody was asked about."""
        self.assertEqual(cache_status(None), "registryproxy; fwd=bypass")
        self.assertEqual(cache_status(Outcome.MISS), "registryproxy; fwd=uri-miss; stored")
        self.assertEqual(cache_status(Outcome.HIT), "registryproxy; hit")
        self.assertEqual(cache_status(Outcome.UPDATING), "registryproxy; fwd=uri-miss; collapsed")
        self.assertEqual(parameters(cache_status(Outcome.STALE)), {"hit": True, "detail": "stale"})
        self.assertEqual(
            parameters(cache_status(Outcome.EXPIRED)), {"fwd": "stale", "fwd-status": "200", "stored": True}
        )
        self.assertNotIn("stored", parameters(cache_status(Outcome.REVALIDATED)))

    def test_all_are_different(self) -> None:
        """No two outcomes look the same."""
        self.assertEqual(len({cache_status(outcome) for outcome in (None, *Outcome)}), len(Outcome) + 1)
