"""
The first head of a connection, as far as we must read it ourselves: is it a CONNECT, and to where?

Whatever is no CONNECT is not read at all, but handed on untouched to those who speak HTTP.
"""

import re

from attrs import define, field, frozen

from registryproxy.errors import BadHead, HeadTooLarge, InvalidAuthority
from registryproxy.wire.authority import Authority
from registryproxy.wire.headers import Fields

MAX_LINE = 64 * 1024
"""Bytes of a line without its CRLF: the tokens of clouds are that big."""

MAX_HEAD = 128 * 1024
"""Bytes of a head in all."""

_METHOD = b"CONNECT "
_TLS_HANDSHAKE = 0x16  # the first byte of a ClientHello
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_REQUEST_LINE = re.compile(r"CONNECT ([\x21-\x7e]+) HTTP/1\.([01])")
# What may stand in an answer and in a log; a target with more than that may be a URL with a password in it.
_QUOTABLE = re.compile(r"[A-Za-z0-9._:\[\]*-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@frozen
class ConnectRequest:
    """
    A whole head of a CONNECT.

    @ivar rest: what came behind the head: an eager client's ClientHello.
    """

    authority: Authority
    fields: Fields
    rest: bytes = field(repr=False)


@frozen
class NotConnect:
    """
    The beginning of some other request.

    @ivar received: all bytes so far.
    """

    received: bytes = field(repr=False)


@define(eq=False)
class ConnectParser:
    """
    Read one head, however its bytes are cut.

    Stricter than HTTP asks for: nothing that two readers of the same bytes could take for two different things
    is let through.

    @see: RFC 9110, section 9.3.6; RFC 9112, sections 2, 3 and 5.
    """

    _buffer: bytearray = field(factory=bytearray, init=False, repr=False)
    _begin: int = field(default=0, init=False)  # of the line that is being read
    _scanned: int = field(default=0, init=False)  # no line ends between the two
    _is_connect: bool = field(default=False, init=False)
    _authority: Authority | None = field(default=None, init=False)
    _minor_version: str = field(default="", init=False)
    _lines: list[tuple[str, str]] = field(factory=list, init=False, repr=False)

    @property
    def has_begun(self) -> bool:
        """Whether anything was received."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> ConnectRequest | NotConnect | None:
        """
        Read on.

        @return: nothing, while more is needed; otherwise what it is, and then the parser has done its work.
        @raise BadHead: if it is not HTTP, or a CONNECT that does not follow the grammar.
        @raise HeadTooLarge: if a line or the head exceeds its limit.
        """
        self._buffer += data
        if not self._is_connect:
            begin = 2 if self._buffer.startswith(b"\r\n") else 0  # one empty line is forgiven
            opening = bytes(self._buffer[begin : begin + len(_METHOD)])
            if opening != _METHOD:
                return self._other(opening)
            self._is_connect = True
            self._begin = self._scanned = begin
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[self._begin : end])
            self._check_size(end)
            self._begin = self._scanned = end + 1
            if not line.endswith(b"\r"):
                raise BadHead("a line of the head ends in a bare LF instead of CRLF")
            if self._take(line[:-1].decode("latin-1")):
                return self._whole()
        self._scanned = len(self._buffer)
        self._check_size(self._scanned)
        return None

    def _other(self, opening: bytes) -> NotConnect | None:
        """Tell what begins with a few bytes that are not the whole of the method."""
        if _METHOD.startswith(opening) or self._buffer == b"\r":
            return None
        if _TOKEN.match(opening):
            return NotConnect(bytes(self._buffer))
        if opening[0] == _TLS_HANDSHAKE:
            raise BadHead("this port speaks plain HTTP, and TLS only behind a CONNECT: use an http:// URL")
        raise BadHead("the first bytes are not those of an HTTP request")

    def _check_size(self, end: int) -> None:
        """Refuse a line, whole or not yet, that with what is before C{end} exceeds a limit already."""
        length = end - self._begin - self._buffer.endswith(b"\r", self._begin, end)
        if length > MAX_LINE or end >= MAX_HEAD:  # the LF at end counts, too
            raise HeadTooLarge(
                f"a head may have {MAX_LINE // 1024} KiB a line, {MAX_HEAD // 1024} KiB in all"
            )

    def _take(self, line: str) -> bool:
        """Take in one line, and tell whether it was the empty one, the last."""
        if "\r" in line or "\0" in line:
            raise BadHead("a line of the head contains a bare CR or a NUL")
        if self._authority is None:
            self._take_request_line(line)
        elif line:
            self._take_field(line)
        return not line

    def _take_request_line(self, line: str) -> None:
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise BadHead("the request line is not of the form CONNECT host:port HTTP/1.1")
        try:
            self._authority = Authority.parse(match[1])
        except InvalidAuthority as e:
            harmless = _QUOTABLE.fullmatch(match[1])
            raise BadHead(
                str(e) if harmless else "the target of a CONNECT is host:port, and no more"
            ) from None
        self._minor_version = match[2]

    def _take_field(self, line: str) -> None:
        if line[0] in " \t":
            raise BadHead("a line of the head begins with white space: folded fields are obsolete")
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name.encode("latin-1")):
            raise BadHead("a line of the head is not the name of a field followed by a colon")
        if _CONTROL.search(value):
            raise BadHead(f"the field {name[:100]} contains a control character")
        self._lines.append((name, value.strip(" \t")))

    def _whole(self) -> ConnectRequest:
        assert self._authority is not None  # noqa: S101  the request line was the first
        fields = Fields(self._lines)
        hosts = len(fields.all("host"))
        if hosts > 1 or (hosts == 0 and self._minor_version == "1"):
            raise BadHead(f"there are {hosts} Host fields, where HTTP/1.1 asks for one")
        if fields.all("transfer-encoding") or any(each != "0" for each in fields.all("content-length")):
            raise BadHead("a CONNECT has no body, so it must not announce one")
        return ConnectRequest(self._authority, fields, bytes(self._buffer[self._begin :]))
