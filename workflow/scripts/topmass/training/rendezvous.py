"""Rendezvous address for multi-node training, without relying on hostname resolution."""

import ipaddress
import os
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

from topmass.files import BadInput

LOOPBACK = "127.0.0.1"
TORCHRUN_PORT = 29400
"""Default port of torchrun."""


class Rendezvous(NamedTuple):
    """Rendezvous of the machines of one training.

    Attributes:
        machines: Number of machines.
        endpoint: Address of the rendezvous, host:port.
        here: Whether the endpoint is on this machine.
        own: Name or address by which the other machines reach this one.
        interface: Network interface to the other machines; None for any.
    """

    machines: int
    endpoint: str
    here: bool
    own: str
    interface: str | None = None


def node_count_and_address() -> tuple[int, str]:
    """Return the number of machines and the rendezvous address from the environment.

    Raises:
        BadInput: The number is invalid, or only one of the two is set.
    """
    address = os.environ.get("TOPMASS_RENDEZVOUS") or os.environ.get("PET_RDZV_ENDPOINT") or ""
    number = os.environ.get("TOPMASS_NODES") or os.environ.get("PET_NNODES") or ("" if address else "1")
    if not number.isdecimal() or int(number) < 1 or (int(number) > 1 and not address):
        raise BadInput("several machines need TOPMASS_RENDEZVOUS=host:port and TOPMASS_NODES=their number, both")
    return int(number), address


def find_rendezvous() -> Rendezvous:
    """Return the rendezvous from the environment; for one machine, any free local port.

    Raises:
        BadInput: The environment is incomplete, or the address cannot be reached.
    """
    number, address = node_count_and_address()
    if number == 1:
        return Rendezvous(1, f"{LOOPBACK}:0", True, LOOPBACK)
    try:
        place = urlsplit(f"//{address}")
        host, port = place.hostname or "", place.port or TORCHRUN_PORT
        family, kind, *_, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as way:
            # This sends nothing: `connect` only selects the address from which this machine would reach the other.
            way.connect(there)
            own = way.getsockname()[0]
    except (ValueError, OSError) as error:
        raise BadInput(f"TOPMASS_RENDEZVOUS={address}: not a host:port that can be reached ({error})") from None
    if own == there[0] or ipaddress.ip_address(there[0]).is_loopback:
        # The others reach this machine by the host of the endpoint. Torch would use this machine's hostname.
        return Rendezvous(number, f"{LOOPBACK}:{port}", True, host, interface_of(own))
    return Rendezvous(number, f"{host}:{port}", False, own, interface_of(own))


def interface_of(address: str) -> str | None:
    """Return the network interface with this address; None for a loopback, which reaches no other machine."""
    if ipaddress.ip_address(address).is_loopback:
        return None
    found = psutil.net_if_addrs().items()
    return next((name for name, each in found if address in {one.address for one in each}), None)
