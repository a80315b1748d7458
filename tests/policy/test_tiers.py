"""Tests of L{registryproxy.policy.tiers}."""

import re

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from registryproxy.policy.outcome import CacheType
from registryproxy.policy.tiers import Tier, TierTable

SEEDS = TierTable(
    is_enabled=True,
    primary=re.compile("(stable|nightly|production|test)"),
    primary_lifetime=600.0,
    secondary=re.compile(r"(.*)(\d|\.)+(.*)(\d|\.)+(.*)(\d|\.)+"),
    secondary_lifetime=5_184_000.0,
    default_lifetime=3600.0,
)
TAGS = st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True)


def types(*tags: str) -> list[CacheType]:
    """Tell into which of the seed's tiers tags fall."""
    return [SEEDS.tier_of(tag).cache_type for tag in tags]


class TierTableTests(SynchronousTestCase):
    """L{TierTable.tier_of}."""

    def test_each_tier_has_its_lifetime(self) -> None:
        """A tag is believed for the time of the tier that it falls into."""
        self.assertEqual(SEEDS.tier_of("stable"), Tier(CacheType.MANIFEST_PRIMARY, 600.0))
        self.assertEqual(SEEDS.tier_of("v1.2.3"), Tier(CacheType.MANIFEST_SECONDARY, 5_184_000.0))
        self.assertEqual(SEEDS.tier_of("latest"), Tier(CacheType.MANIFEST_DEFAULT, 3600.0))

    def test_a_match_begins_with_the_tag(self) -> None:
        """As behind C{/manifests/} in nginx, what a regex matches must begin where the tag begins."""
        self.assertEqual(types("unstable", "latest"), [CacheType.MANIFEST_DEFAULT] * 2)

    def test_a_match_need_not_end_with_the_tag(self) -> None:
        """nginx's regex has no end, so that C{stable-alpine} is as stable as C{stable}."""
        self.assertEqual(
            types("stable-alpine", "testing", "1.2.3-rc"),
            [
                CacheType.MANIFEST_PRIMARY,
                CacheType.MANIFEST_PRIMARY,
                CacheType.MANIFEST_SECONDARY,
            ],
        )

    def test_case_counts(self) -> None:
        """The seed's location is a C{~}, which regards case."""
        self.assertEqual(types("Stable"), [CacheType.MANIFEST_DEFAULT])

    def test_primary_goes_before_secondary(self) -> None:
        """A tag that both match is of the primary tier."""
        self.assertEqual(types("stable-1.2.3"), [CacheType.MANIFEST_PRIMARY])

    @given(TAGS)
    def test_nothing_is_believed_while_disabled(self, tag: str) -> None:
        """Without the manifest cache every tag is asked for every time, whatever it is called."""
        tier = evolve(SEEDS, is_enabled=False).tier_of(tag)
        self.assertEqual(tier, Tier(CacheType.MANIFEST_DEFAULT_DISABLED, 0.0))

    @given(TAGS)
    def test_three_digits_or_dots_make_a_version(self, tag: str) -> None:
        """The seed's secondary regex takes any tag with three digits or dots that is not of the primary tier."""
        is_version = len(re.findall(r"[0-9.]", tag)) >= 3
        if re.match("stable|nightly|production|test", tag):
            expected = CacheType.MANIFEST_PRIMARY
        else:
            expected = CacheType.MANIFEST_SECONDARY if is_version else CacheType.MANIFEST_DEFAULT
        self.assertEqual(types(tag), [expected])
