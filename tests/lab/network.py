# SPDX-License-Identifier: BSD-2-Clause
#
# The lab's one network: a switch (a bridge in a namespace of its own) and a cable to each host.
# All addresses come from the documentation ranges 192.0.2.0/24 and 2001:db8::/64.

import ipaddress

# Several addresses on the primary stand for several primary hosts; nft tells them apart.
ADDRESSES = {
    "dns": ["192.0.2.53", "2001:db8::53"],
    "primary": [
        "192.0.2.10", "2001:db8::10",
        "192.0.2.11", "192.0.2.12", "192.0.2.13", "2001:db8::14",
        "192.0.2.15", "192.0.2.16",
    ],
    "backup": ["192.0.2.20", "2001:db8::20"],
    "client": ["192.0.2.30", "2001:db8::30", "192.0.2.31", "2001:db8::31", "192.0.2.32"],
    "foreign": ["192.0.2.40", "192.0.2.41", "2001:db8::40"],
}


def prefix(address):
    return 24 if ipaddress.ip_address(address).version == 4 else 64


def connect(switch, hosts):
    """Plugs the hosts into the switch and gives them their addresses."""
    lines = ["link set lo up", "link add br0 type bridge forward_delay 0", "link set br0 up"]
    for host in hosts:
        lines += [
            f"link add {host.name} type veth peer name eth0 netns {host.init_pid}",
            f"link set {host.name} master br0 up",
        ]
    switch.ip(*lines)
    for host in hosts:
        # nodad: an address is of use at once, there is nobody to collide with.
        host.ip(
            "link set lo up",
            "link set eth0 up",
            *(f"addr add {address}/{prefix(address)} dev eth0 nodad"
              for address in ADDRESSES[host.name]),
        )
