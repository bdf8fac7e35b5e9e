# SPDX-License-Identifier: BSD-2-Clause
#
# Ways for a host to be away, as the others see it. Each is a context manager: the outage ends with
# the block. All of them stay inside the lab's namespaces.

import ipaddress
import os
import signal
from contextlib import contextmanager


def _match(addresses, direction):
    """nft matches for packets to (daddr) or from (saddr) these addresses; none: all of them."""
    if not addresses:
        return [""]
    found = []
    for address in addresses:
        family = "ip" if ipaddress.ip_address(address).version == 4 else "ip6"
        found.append(f"{family} {direction} {address} ")
    return found


def _filter(host, action, addresses):
    rules = "\n".join(f"    {match}tcp dport 25 {action}" for match in _match(addresses, "daddr"))
    host.nft(
        "table inet outage {\n"
        "  chain input {\n"
        "    type filter hook input priority 0;\n"
        f"{rules}\n"
        "  }\n"
        "}\n"
    )


def _end_filter(host):
    host.nft("delete table inet outage\n")


@contextmanager
def packets_dropped(host, addresses=()):
    """A firewall or a lost route: SYNs vanish, open connections hang."""
    _filter(host, "drop", addresses)
    try:
        yield
    finally:
        _end_filter(host)


@contextmanager
def unreachable(host, addresses=()):
    """A router says so: ICMP host unreachable."""
    _filter(host, "reject with icmpx type host-unreachable", addresses)
    try:
        yield
    finally:
        _end_filter(host)


@contextmanager
def link_down(switch, host):
    """The cable is out, seen from the switch's side: the host keeps its addresses."""
    switch.ip(f"link set {host.name} down")
    try:
        yield
    finally:
        switch.ip(f"link set {host.name} up")


@contextmanager
def frozen(host, name=None):
    """SIGSTOP: the kernel still accepts connections, nobody ever speaks."""
    stopped = host.processes(name)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


@contextmanager
def stopped(postfix):
    """The MTA isn't running: refused."""
    postfix.stop()
    try:
        yield
    finally:
        postfix.start()


@contextmanager
def replaced(postfix, scripted):
    """Something else answers on the MTA's port: `scripted` makes it, once the port is free."""
    postfix.stop()
    try:
        with scripted() as server:
            yield server
    finally:
        postfix.start()
