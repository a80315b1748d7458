"""Leaves: certificates for the hosts that we stand in for, minted when they are first asked for."""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

from registryproxy.ca.root import BACK_DATED, CertificateAuthority
from registryproxy.errors import CAUnusable
from registryproxy.interfaces import ILeafMint
from registryproxy.wire.authority import Authority

LIFE = timedelta(days=90)
"""Of a leaf, in all: nobody has to distrust an old one for long."""

RENEWED_AT = 2 / 3
"""The part of its life after which a leaf is replaced: a client may hold on to a connection for the rest."""

MAX_KEPT = 1024
"""Contexts kept; each takes some 26 KB, and a suffix pattern lets clients name hosts without end."""

_MAX_COMMON_NAME = 64  # RFC 5280, appendix A.1, ub-common-name


@frozen
class _Minted:
    """
    A context that is good from one second to another.

    @ivar begins_at: POSIX seconds; asked for earlier, for a clock may have been set back.
    @ivar renew_at: POSIX seconds.
    """

    context: Any
    begins_at: float
    renew_at: float


@implementer(ILeafMint)
@define(eq=False)
class LeafMint:
    """
    Mint a leaf for each host, keep it, and replace it in time.

    All leaves share one key of their own: minting takes about a millisecond, and blocks the reactor for it.
    The key lives in this process only, and so do the leaves.
    """

    _authority: CertificateAuthority = field(repr=False)
    _clock: IReactorTime
    _key: ec.EllipticCurvePrivateKey = field(init=False, repr=False)
    _kept: OrderedDict[str, _Minted] = field(factory=OrderedDict, init=False, repr=False)

    @_key.default
    def _make_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @property
    def certificate_pem(self) -> bytes:
        """See L{ILeafMint}."""
        return self._authority.certificate_pem

    def context_for(self, host: str) -> Any:
        """
        See L{ILeafMint.context_for}.

        @raise InvalidAuthority: if C{host} is no name of one host.
        @raise CAUnusable: if the authority has ended.
        """
        # no wildcard, no dot at the end, nothing that a certificate could not or should not say
        name = Authority.parse(f"[{host}]" if ":" in host else host, 443).host
        now = self._clock.seconds()
        minted = self._kept.get(name)
        if minted is None or not minted.begins_at <= now < minted.renew_at:
            minted = self._kept[name] = self._mint(name, now)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return minted.context

    def _mint(self, name: str, now: float) -> _Minted:
        leaf = leaf_for(name, self._authority, self._key.public_key(), now)
        # Twisted's annotations still ask for the wrappers that pyOpenSSL has deprecated; TLS 1.2 is its minimum
        options = CertificateOptions(
            privateKey=self._key,  # type: ignore[arg-type]
            certificate=leaf,  # type: ignore[arg-type]
            extraCertChain=list(self._authority.intermediates),  # type: ignore[arg-type]
            acceptableProtocols=[b"http/1.1"],
        )
        begins_at, ends_at = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
        renew_at = begins_at + (ends_at - begins_at) * RENEWED_AT
        if ends_at >= self._authority.ends_at:  # a fresh one would end no later: this is the last
            renew_at = ends_at
        return _Minted(options.getContext(), begins_at, renew_at)


def leaf_for(
    name: str, authority: CertificateAuthority, key: ec.EllipticCurvePublicKey, now: float
) -> x509.Certificate:
    """
    Sign a certificate for a server.

    @param name: a DNS name or an IP address, as L{Authority} writes it.
    @param now: POSIX seconds.
    @raise CAUnusable: if the authority has ended.
    """
    if now >= authority.ends_at:
        raise CAUnusable(
            f"the certificate authority ended on {authority.certificate.not_valid_after_utc:%Y-%m-%d}:"
            " bring a new one along with CA_CRT_FILE and CA_KEY_FILE, or move ca.crt and ca.key out of CA_DIR"
        )
    certificate = authority.certificate
    begin = max(datetime.fromtimestamp(now, UTC) - BACK_DATED, certificate.not_valid_before_utc)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    subject = _subject(name)
    # No SubjectKeyIdentifier: it would be the same in every leaf, and SChannel looks certificates up by it
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(min(begin + LIFE, certificate.not_valid_after_utc))
        # RFC 5280, section 4.2.1.6: critical when there is no other name
        .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=not list(subject))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority.key_identifier, critical=False)
    )
    return authority.sign(builder)


def _subject(name: str) -> x509.Name:
    if len(name) > _MAX_COMMON_NAME:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
