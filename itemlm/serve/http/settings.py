"""HttpSettings: what an operator decides about the HTTP layer."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from itemlm.types import ConfigError

ORIGIN = re.compile(r"https?://[^/\s*]+")


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """Limits and doors of the HTTP layer.

    Raises:
        ConfigError: if a limit is not positive or an origin is not one.
    """

    host: str = "127.0.0.1"  # the address that the service is bound to
    open: bool = False  # whether it may be reached from elsewhere without any key
    allowed_hosts: tuple[str, ...] = ()  # further names that it is called by, without a port
    cors_origins: tuple[str, ...] = ()  # web pages of other origins that may call it
    body_bytes: int = 2**20  # of one request
    body_seconds: float = 10.0  # in which a body must have arrived
    json_depth: int = 32  # brackets within brackets
    rate_per_second: float | None = 1000.0  # requests of one key or address; None: no limit
    rate_burst: int = 2000  # requests at once, before the rate counts
    rate_callers: int = 10_000  # keys and addresses that are remembered

    def __post_init__(self) -> None:
        for name in ("body_bytes", "body_seconds", "json_depth", "rate_burst", "rate_callers"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be more than 0.")
        if self.rate_per_second is not None and not self.rate_per_second > 0:
            raise ConfigError(
                f"rate_per_second is {self.rate_per_second}, but must be more than 0, or none "
                "for no limit."
            )
        for origin in self.cors_origins:
            if not ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"'{origin}' is not an origin. Write scheme and host, without a path and "
                    "without *, as in 'https://shop.example.com'."
                )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is this machine's own: localhost, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
