"""Scripts that point clients at this proxy."""

from importlib.resources import files

from registryproxy.wire.authority import Authority

_PLACE = "@PROXY@"


def render_systemd(proxy: Authority) -> bytes:
    """
    Write the shell script that points a Docker which systemd runs at this proxy, or takes that back.

    A parsed authority holds nothing that a shell, sed or systemd would take for more than a name: letters, digits,
    and of other characters only C{._-:[]}.

    @param proxy: where its reader reaches us.
    """
    template = files("registryproxy.front").joinpath("setup_systemd.sh").read_text(encoding="utf-8")
    return template.replace(_PLACE, str(proxy)).encode()
