"""Settings as people read them: those in force, and the table of all."""

from collections.abc import Mapping

from registryproxy.config.setting import Setting
from registryproxy.config.settings import Config, all_settings


def in_force(config: Config, origins: Mapping[str, str]) -> str:
    """
    Write the settings in force, one a line, each with where it comes from; secrets are masked.

    @param origins: by key.
    """
    lines = [
        (f"{each.name} = {_printable(each.write(getattr(config, each.key)))}".rstrip(), origins[each.key])
        for each in all_settings()
    ]
    return "".join(f"{line:<60}  # {origin}\n" for line, origin in lines)


def _printable(text: str) -> str:
    """Keep a value on its line, its spaces visible."""
    return text if text.isprintable() and text == text.strip() else ascii(text)


_HEAD = "| Setting | Default | Meaning | Since |\n|---|---|---|---|\n"


def markdown() -> str:
    """Write the table of all settings in Markdown."""
    return _HEAD + "".join(_row(each) for each in all_settings())


def _row(setting: Setting) -> str:
    names = f"`{setting.name}`" + (f" `{setting.name}_FILE`" if setting.is_secret else "")
    if setting.shown_default == setting.default:
        default = f"`{_cell(setting.default)}`" if setting.default else ""
    else:
        default = _cell(setting.shown_default)
    since = "not yet" if setting.later is not None else "0.1.0"
    return f"| {names} | {default} | {_cell(setting.help)} | {since} |\n"


def _cell(text: str) -> str:
    """Keep a text within its cell: GitHub reads a bar as the cell's end even between backticks."""
    return text.replace("|", r"\|")
