"""What we want of sockets beyond what every transport promises."""

import fcntl
import socket
import sys
import termios
from typing import Any

from twisted.internet.interfaces import INegotiated, ISystemHandle, ITCPTransport


def tune(transport: Any) -> None:
    """Send small pieces at once, and have the kernel find out whether a silent peer is still there."""
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)


def half_close(transport: Any) -> None:
    """
    Say that we have said all, and go on reading; where that cannot be said, close.

    TLS cannot: what it still gathers would be lost if the connection below were half-closed.
    """
    if ITCPTransport.providedBy(transport) and not INegotiated.providedBy(transport):
        transport.loseWriteConnection()
    else:
        transport.loseConnection()


def unacknowledged(transport: Any) -> int | None:
    """
    Ask the kernel for how many bytes the peer has not taken yet, or return nothing where it cannot tell.

    A transport's own buffer does not tell: behind it the kernel has one of megabytes, which takes what the peer does
    not, and in which what a slow but honest peer takes is seen first.
    """
    handle = transport.getHandle() if ISystemHandle.providedBy(transport) else None
    if not isinstance(handle, socket.socket):
        return None
    try:
        answer = fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return None
    return int.from_bytes(answer, sys.byteorder)
