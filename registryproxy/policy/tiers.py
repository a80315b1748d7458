"""For how long a tag is believed: the three tiers of the seed."""

import re

from attrs import frozen

from registryproxy.policy.outcome import CacheType


@frozen
class Tier:
    """
    A class of tags.

    @ivar cache_type: its name, as the type header has it.
    @ivar lifetime: seconds for which the registry's word on a tag is believed.
    """

    cache_type: CacheType
    lifetime: float


_DISABLED = Tier(CacheType.MANIFEST_DEFAULT_DISABLED, 0.0)


@frozen
class TierTable:
    """
    The tiers, in the order in which they are tried: primary, secondary, default.

    @ivar is_enabled: C{ENABLE_MANIFEST_CACHE}; while it is false the registry is asked every time.
    @ivar primary: matched from the start of the tag, not necessarily to its end, as nginx does it behind
        C{/manifests/}, and with regard to case.
    @ivar secondary: likewise.
    @ivar primary_lifetime: seconds.
    @ivar secondary_lifetime: seconds.
    @ivar default_lifetime: seconds, for tags that neither pattern matches.
    """

    is_enabled: bool
    primary: re.Pattern[str]
    primary_lifetime: float
    secondary: re.Pattern[str]
    secondary_lifetime: float
    default_lifetime: float

    def tier_of(self, tag: str) -> Tier:
        """Tell which tier a tag belongs to: the first that matches."""
        if not self.is_enabled:
            return _DISABLED
        if self.primary.match(tag):
            return Tier(CacheType.MANIFEST_PRIMARY, self.primary_lifetime)
        if self.secondary.match(tag):
            return Tier(CacheType.MANIFEST_SECONDARY, self.secondary_lifetime)
        return Tier(CacheType.MANIFEST_DEFAULT, self.default_lifetime)
