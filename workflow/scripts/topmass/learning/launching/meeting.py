"""Where the machines of a training meet, and how the others reach this one: the name of a machine may mean nothing."""

import ipaddress
import os
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

from topmass.files import BadInput

LOOPBACK = "127.0.0.1"
TORCHRUN_PORT = 29400
"""Where torchrun meets if nobody says."""


class Meeting(NamedTuple):
    """How many machines train together, and where they meet: `endpoint`, host:port, which may be `here`, on this one.

    The others reach this machine by the name or address `own`, over the network `interface`; None for any.
    """

    machines: int
    endpoint: str
    here: bool
    own: str
    interface: str | None = None


def nodes() -> tuple[int, str]:
    """Number of machines that train together, and the address where they meet; BadInput if one is given alone."""
    address = os.environ.get("TOPMASS_RENDEZVOUS") or os.environ.get("PET_RDZV_ENDPOINT") or ""
    number = os.environ.get("TOPMASS_NODES") or os.environ.get("PET_NNODES") or ("" if address else "1")
    if not number.isdecimal() or int(number) < 1 or (int(number) > 1 and not address):
        raise BadInput("several machines need TOPMASS_RENDEZVOUS=host:port and TOPMASS_NODES=their number, both")
    return int(number), address


def find_meeting() -> Meeting:
    """Where the environment says; on one machine, at any free port of its own. BadInput for an address of nothing."""
    number, address = nodes()
    if number == 1:
        return Meeting(1, f"{LOOPBACK}:0", True, LOOPBACK)
    try:
        place = urlsplit(f"//{address}")
        host, port = place.hostname or "", place.port or TORCHRUN_PORT
        family, kind, *_, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as way:
            # Nothing is sent: this only asks by which of its addresses this machine would reach the other.
            way.connect(there)
            own = way.getsockname()[0]
    except (ValueError, OSError) as error:
        raise BadInput(f"TOPMASS_RENDEZVOUS={address}: not a host:port that can be reached ({error})") from None
    if own == there[0] or ipaddress.ip_address(there[0]).is_loopback:
        # The others reach this machine by the name of the meeting. Torch would ask for this machine's own.
        return Meeting(number, f"{LOOPBACK}:{port}", True, host, interface_of(own))
    return Meeting(number, f"{host}:{port}", False, own, interface_of(own))


def interface_of(address: str) -> str | None:
    """The network interface that has this address; None for a loopback, which leads to no other machine."""
    if ipaddress.ip_address(address).is_loopback:
        return None
    found = psutil.net_if_addrs().items()
    return next((name for name, each in found if address in {one.address for one in each}), None)
