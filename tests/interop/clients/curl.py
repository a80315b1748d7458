"""curl, which pulls nothing, but shows all that a client is told."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser

from attrs import frozen

from tests.interop.lab import Lab
from tests.interop.processes import run
from tests.interop.registry import Registry


@frozen
class Answer:
    """What curl got."""

    status: int
    headers: Message
    body: bytes


def ask(lab: Lab, registry: Registry, path: str, *words: str) -> Answer:
    """
    Ask a registry through the proxy.

    @param path: what is below C{/v2/}.
    @param words: further options of curl's.
    @raise AssertionError: if the way there failed; a status that tells of an error is an answer like others.
    """
    way = ["--proxy", lab.proxy.url, "--cacert", str(lab.proxy.ca_file), "--capath", str(lab.scratch)]
    shown = ["--silent", "--show-error", "--include", "--suppress-connect-headers"]
    raw = run(["curl", *shown, *way, *words, f"https://{registry.authority}/v2/{path}"], {})
    head, _, body = raw.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    return Answer(int(line.split()[1]), BytesParser().parsebytes(headers), body)
