"""What is known of a setting beside its value: L{registryproxy.config.settings.Config} declares its fields so."""

from typing import Any, TypeVar

import attrs
from attrs import frozen

from registryproxy.config.kinds import TIMEOUT, Kind
from registryproxy.config.units import Unreadable, shown
from registryproxy.errors import ConfigError

T = TypeVar("T")
_KEY = "registryproxy.setting"
MASK = "****"
"""Stands for a secret wherever settings are printed."""


@frozen
class Setting:
    """
    One setting, whatever its value.

    @ivar key: how the TOML file names it, and the field of L{registryproxy.config.settings.Config}.
    @ivar default: as text.
    @ivar help: one sentence, or a few.
    @ivar example: as text, for those whose value could not be read.
    @ivar shown_default: what a person is told the default is.
    @ivar is_secret: its value is never shown, and may stand in a file named by C{NAME_FILE}.
    @ivar is_of_seed: whether docker-registry-proxy has it, too.
    @ivar later: what is the case today, where the setting is known but its effect is not built yet.
    @ivar fulfilled: texts, beside the default, that ask for no more than what is the case today.
    @ivar takes_empty: whether an empty environment variable is a value; for the others it is as good as none,
        for that is how docker compose passes on what is not set.
    """

    key: str
    kind: Kind[Any]
    default: str
    help: str
    example: str
    shown_default: str
    is_secret: bool = False
    is_of_seed: bool = False
    later: str | None = None
    fulfilled: tuple[str, ...] = ()
    takes_empty: bool = False

    @property
    def name(self) -> str:
        """How the environment names it."""
        return self.key.upper()

    @property
    def option(self) -> str:
        """How the command line names it, without the two dashes."""
        return self.key.replace("_", "-")

    def read(self, text: str) -> Any:
        """
        Read a value.

        @raise ConfigError: if it cannot be read, or asks for what is not built yet; a secret is not told.
        """
        try:
            value = self.kind.read(text)
        except Unreadable as e:
            # A secret's fault may quote a part of it, so that not even the fault is told.
            fault = "the value cannot be read" if self.is_secret else f"{shown(e.text)} {e.fault}"
            raise ConfigError(f"{self.name}: {fault}; write for example {self.example}") from None
        if self.later is not None and value not in [self.kind.read(each) for each in self._possible_today]:
            raise ConfigError(f"{self.name}: {self.later}; leave it {self._leave_it}")
        return value

    @property
    def _possible_today(self) -> tuple[str, ...]:
        return (self.default, *self.fulfilled)

    @property
    def _leave_it(self) -> str:
        return f"at {self.default}" if self.default.strip() else "unset"

    def write(self, value: Any) -> str:
        """Write a value for people to see, a secret masked."""
        text = self.kind.write(value)
        return MASK if self.is_secret and text else text


def setting(
    kind: Kind[T],
    default: str,
    help: str,  # noqa: A002  that is what it is
    *,
    example: str = "",
    shown_default: str | None = None,
    secret: bool = False,
    seed: bool = False,
    later: str | None = None,
    fulfilled: tuple[str, ...] = (),
    takes_empty: bool = False,
) -> T:
    """Declare a field that is a setting; the arguments are the attributes of L{Setting}."""
    declared = Setting(
        key="",
        kind=kind,
        default=default,
        help=help,
        example=example or default,
        shown_default=default if shown_default is None else shown_default,
        is_secret=secret,
        is_of_seed=seed,
        later=later,
        fulfilled=fulfilled,
        takes_empty=takes_empty,
    )
    field: Any = attrs.field(default=kind.read(default), metadata={_KEY: declared}, repr=not secret)
    value: T = field
    return value


def timeout(help: str, *, default: str = "60s", later: str | None = None) -> float:  # noqa: A002
    """Declare a field that is one of the seed's timeouts."""
    return setting(TIMEOUT, default, help, example="90s", seed=True, later=later)


def settings_of(cls: type) -> tuple[Setting, ...]:
    """Tell all settings that a class declares, in their order."""
    return tuple(attrs.evolve(each.metadata[_KEY], key=each.name) for each in attrs.fields(cls))
