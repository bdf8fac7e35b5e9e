# SPDX-License-Identifier: BSD-2-Clause
#
# What needs a network of its own: IPv6 primaries, and addresses without a route. This runs the
# tests of inside_namespace.py in a fresh network namespace, which an ordinary user may make where
# user namespaces are allowed.

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ENTER = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]

# Addresses within fd00:25::/64 are this host's to listen at, but on no interface: otherwise the
# daemon would take a primary there for itself. There is an IPv4 address but no route to anywhere,
# and 198.51.100.0/24 is what a router on the way calls unreachable.
SET_UP = """
set -e
ip link set lo up
ip addr add 203.0.113.1/32 dev lo
ip -6 route add local fd00:25::/64 dev lo
echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind
ip route add unreachable 198.51.100.0/24
exec "$@"
"""


def in_namespace(*command):
    return [*ENTER, "sh", "-c", SET_UP, "sh", *command]


def namespaces_work():
    try:
        return subprocess.run(in_namespace("true"), capture_output=True, timeout=10,
                              check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.mark.skipif(not namespaces_work(), reason="no network namespace may be made here")
def test_inside_a_namespace():
    done = subprocess.run(
        in_namespace(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                     os.path.join(HERE, "inside_namespace.py")),
        capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
