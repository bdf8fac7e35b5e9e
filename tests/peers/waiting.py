# SPDX-License-Identifier: BSD-2-Clause
#
# Waiting for something to become true, with a deadline: tests never sleep for a fixed time
# and hope. Also the allocation of loopback addresses and free ports, so that each host of a
# test has an address of its own.

import itertools
import os
import socket
import time


def eventually(condition, deadline=10.0, what=None, pause=0.02):
    """Call `condition` until it returns something true, and return that.

    `deadline` is in seconds. `what` tells the reader of a failed test what never came; it may
    be a callable, asked only on failure.
    """
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise AssertionError("not within %.1f s: %s" % (deadline, text or condition))
        time.sleep(pause)


def free_port():
    """A TCP port that is free on every loopback address at this moment.

    All SMTP peers of a test share one port (the daemon has one `[probe] port`), so it must be
    free for the whole of 127.0.0.0/8: binding to 0.0.0.0 proves that. UDP is tried as well.
    """
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("0.0.0.0", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port found")


_hosts = itertools.count(10)


def next_address():
    """The next unused loopback address 127.P.x.y, never one of an interface (127.0.0.1).

    Addresses aren't handed out twice in one run, so that a late probe of an earlier test can't
    reach a later test's server. P differs between processes that run at the same time.
    """
    number = next(_hosts)
    return "127.%d.%d.%d" % (1 + os.getpid() % 250, number // 250, number % 250 + 1)


def loopback_ipv6():
    """True if this machine has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False
