"""Where settings come from: defaults <- TOML file <- environment <- options, the last word wins."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from registryproxy.config.setting import Setting
from registryproxy.config.settings import Config, all_settings
from registryproxy.config.units import shown
from registryproxy.errors import ConfigError

_FILE = "_file"


@frozen
class Source:
    """
    What one source says.

    @ivar origin: what a person calls it.
    @ivar texts: values by key.
    @ivar files: paths of files that hold a secret's value, by the key of the secret.
    """

    origin: str
    texts: Mapping[str, str]
    files: Mapping[str, str]

    @classmethod
    def of(cls, origin: str, given: Mapping[str, str]) -> "Source":
        """
        Tell values from files.

        @param given: by key; C{key_file} for the files of secrets.  Other keys are of no concern.
        @raise ConfigError: if a secret is given both ways.
        """
        texts, files = {}, {}
        for each in all_settings():
            path = given.get(each.key + _FILE) if each.is_secret else None
            if path is not None:
                files[each.key] = path
            if each.key in given:
                if path is not None:
                    raise ConfigError(
                        f"{each.name}: it is given by {each.name}_FILE as well; use one of them only"
                    )
                texts[each.key] = given[each.key]
        return cls(origin, texts, files)

    @classmethod
    def from_defaults(cls, cache_dir: str, ca_dir: str) -> "Source":
        """Take the defaults that depend on the machine."""
        return cls.of("default", {"cache_dir": cache_dir, "ca_dir": ca_dir})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Source":
        """Take what is ours of the environment, which is everybody's."""
        empty = {each.key for each in all_settings() if each.takes_empty}
        given = {key: environ[key.upper()] for key in known_keys() if key.upper() in environ}
        return cls.of("environment", {key: text for key, text in given.items() if text or key in empty})

    @classmethod
    def from_options(cls, options: Mapping[str, str | None]) -> "Source":
        """Take the options of the command line that were given, by their names without the two dashes."""
        given = {name.replace("-", "_"): text for name, text in options.items() if text is not None}
        return cls.of("option", given)

    @classmethod
    def from_toml(cls, text: str) -> "Source":
        """
        Read a TOML document of settings.

        @raise ConfigError: if it is none, or has a key that is no setting, or a value of a type that none has.
        """
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as e:
            raise ConfigError(f"this is not TOML: {e}") from None
        return cls.of("file", {key: _as_text(key, value) for key, value in document.items()})


def known_keys() -> tuple[str, ...]:
    """Tell all keys that a source may use."""
    return tuple(
        key
        for each in all_settings()
        for key in ([each.key, each.key + _FILE] if each.is_secret else [each.key])
    )


def _as_text(key: str, value: Any) -> str:
    """Write a TOML value as the environment would have it."""
    setting = next((each for each in all_settings() if key in {each.key, each.key + _FILE}), None)
    if key not in known_keys() or setting is None:
        near = get_close_matches(key.lower(), known_keys(), n=1, cutoff=0.0)[0]
        raise ConfigError(f"{shown(key)}: there is no such setting; did you mean {near}?")
    if isinstance(value, list) and setting.kind.is_list:
        return " ".join(_member(setting, each) for each in value)
    return _scalar(setting, value)


def _member(setting: Setting, value: Any) -> str:
    text = _scalar(setting, value)
    if not text or text.split() != [text]:
        raise ConfigError(f"{setting.name}: {shown(text)} is not one member of a list; {_example(setting)}")
    return text


def _scalar(setting: Setting, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = "an array" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date"
    raise ConfigError(f"{setting.name}: {kind} is no value for it; {_example(setting)}")


def _example(setting: Setting) -> str:
    return f"write for example {setting.key} = {setting.example.split(' or ')[0]!r}"


@frozen
class InForce:
    """
    The settings, and where each comes from.

    @ivar origins: by key.
    """

    config: Config
    origins: Mapping[str, str]


def fold(sources: Sequence[Source], read_file: Callable[[str], str]) -> InForce:
    """
    Read every setting from the last source that gives it.

    @param read_file: reads a text file, or raises C{OSError}, or C{ValueError} if it is no text; it is asked only
        for those whose source wins.
    @raise ConfigError: if a value or a file cannot be read, or values do not fit each other.
    """
    values: dict[str, Any] = {}
    origins = {}
    for each in all_settings():
        giver = next(
            (source for source in reversed(sources) if each.key in {*source.texts, *source.files}), None
        )
        if giver is not None:
            values[each.key] = each.read(_text(each, giver, read_file))
        origins[each.key] = giver.origin if giver is not None else "default"
    return InForce(Config(**values), origins)


def _text(setting: Setting, source: Source, read_file: Callable[[str], str]) -> str:
    if setting.key in source.texts:
        return source.texts[setting.key]
    path = source.files[setting.key]
    try:
        # A secret may end in spaces, but editors end it with a newline of theirs.
        return read_file(path).removesuffix("\n")
    except (OSError, ValueError) as e:
        reason = getattr(e, "strerror", None) or "it is no text"
        raise ConfigError(
            f"{setting.name}_FILE: {shown(path)} cannot be read ({reason}); write for example"
            f" /run/secrets/{setting.key}"
        ) from None
