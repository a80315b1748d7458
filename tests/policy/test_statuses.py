"""Tests for L{registryproxy.policy.statuses}."""

from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.policy.statuses import Verdict, is_away, verdict

STATUSES = integers(-1000, 10_000)


class VerdictTests(SynchronousTestCase):
    """How an answer about a tag is taken."""

    def test_table(self) -> None:
        """Every status of which the contract speaks."""
        for expected, statuses in {
            Verdict.TOLD: (200,),
            Verdict.GONE: (404,),
            Verdict.UNABLE: (405, 501),
            Verdict.AILING: (401, 403, 408, 429, 500, 502, 503, 504, 521, 530, 599),
            Verdict.OTHER: (201, 204, 206, 301, 302, 304, 307, 400, 402, 406, 410, 415, 418, 451),
        }.items():
            for status in statuses:
                self.assertIs(verdict(status), expected, status)

    @given(STATUSES)
    def test_total(self, status: int) -> None:
        """Any status has a verdict, and only 200 tells what a tag means."""
        self.assertEqual(verdict(status) is Verdict.TOLD, status == 200)

    @given(STATUSES)
    def test_only_a_404_is_believed_to_be_one(self, status: int) -> None:
        """Nothing but 404 makes a tag be forgotten: a registry that ails would take all tags with it."""
        self.assertEqual(verdict(status) is Verdict.GONE, status == 404)


class AwayTests(SynchronousTestCase):
    """When C{/v2/} is answered in a registry's stead."""

    def test_table(self) -> None:
        """A registry that is asked too often or is broken is away; one that wants credentials is there."""
        for status in (408, 429, 500, 502, 503, 504, 599):
            self.assertTrue(is_away(status), status)
        for status in (200, 204, 301, 307, 400, 401, 403, 404, 405, 499):
            self.assertFalse(is_away(status), status)

    @given(STATUSES)
    def test_who_is_away_ails(self, status: int) -> None:
        """Where C{/v2/} is answered here, tags are served stale, too, lest the client goes on to a dead end."""
        if is_away(status):
            self.assertIn(verdict(status), {Verdict.AILING, Verdict.UNABLE})
