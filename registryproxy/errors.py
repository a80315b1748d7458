"""
The family of what can go wrong, by whose fault it is.

Each member knows the HTTP status and the OCI error code with which a client is told, and its message is one
sentence that a person can act upon.
"""

import json
from typing import ClassVar


class RegistryProxyError(Exception):
    """
    The root of the family.

    @cvar status: the HTTP status of the answer.
    @cvar code: the error code of the answer.
    @see: OCI distribution-spec, "Error Codes".
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "UNKNOWN"

    def as_oci(self) -> bytes:
        """Render the error as the JSON body that registry clients read and show to their users."""
        return oci_error(self.code, str(self))


def oci_error(code: str, message: str) -> bytes:
    """
    Render one error as a body of C{application/json}.

    @see: OCI distribution-spec, "Error Codes".
    """
    return json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode() + b"\n"


# What the operator did wrong.


class ConfigError(RegistryProxyError):
    """A setting cannot be read: the message names it, its fault and an example; the start is refused."""


class CAUnusable(RegistryProxyError):
    """The certificate authority on disk cannot be read, is no authority, or has ended; the start is refused."""


# What the client did wrong.


class ClientError(RegistryProxyError):
    """The client asked for something that cannot be answered."""

    status = 400
    code = "UNSUPPORTED"


class InvalidName(ClientError):
    """A repository name or a path does not follow the grammar."""

    code = "NAME_INVALID"


class InvalidTag(ClientError):
    """A reference is neither a tag nor a digest."""

    code = "TAG_INVALID"


class InvalidDigest(ClientError):
    """A digest does not follow the grammar, or its hex does not fit its algorithm."""

    code = "DIGEST_INVALID"


class InvalidAuthority(ClientError):
    """A host and port does not follow the grammar."""


class BadHead(ClientError):
    """The head of a request does not follow the grammar of HTTP/1.1."""


class HeadTooLarge(ClientError):
    """The head of a request exceeds the limits."""

    status = 431


class NoSuchPath(ClientError):
    """Nothing of the registry API lives at that path."""

    status = 404


class MethodNotAllowed(ClientError):
    """The method would write, and the proxy only reads."""

    status = 405


class RangeNotSatisfiable(ClientError):
    """
    The range lies past the end.

    @ivar size: bytes that there are.
    @see: RFC 9110, section 15.5.17.
    """

    status = 416
    code = "SIZE_INVALID"

    def __init__(self, size: int) -> None:
        """Tell that nothing of the wanted range is within C{size} bytes."""
        super().__init__(f"the range lies past the end: there are {size} bytes")
        self.size = size


class Forbidden(ClientError):
    """The operator's rules do not allow this."""

    status = 403
    code = "DENIED"


# What the upstream did wrong.


class UpstreamError(RegistryProxyError):
    """
    A registry could not be asked, or its answer cannot be used.

    What is kept may be served in its stead.
    """

    status = 502
    code = "UNAVAILABLE"


class UpstreamUnavailable(UpstreamError):
    """The registry refused the connection, could not be found, broke off, or its certificate is not trusted."""


class UpstreamSilent(UpstreamError):
    """The registry did not answer in time."""

    status = 504


class BadRedirect(UpstreamError):
    """The registry sent us on to nowhere, in a circle, or to where we may not go."""


class TooLarge(UpstreamError):
    """The registry's manifest is larger than any manifest may be."""


# What is wrong with the content.


class ContentMismatch(UpstreamError):
    """
    The content is not what its digest promises: nothing of it is kept.

    The message has both digests, or both lengths.
    """


# What the disk did wrong.


class StoreUnavailable(UpstreamError):
    """The disk cannot take content now, or another process is writing it; what the registry sent cannot be used."""

    status = 500
