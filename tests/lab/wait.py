# SPDX-License-Identifier: BSD-2-Clause
#
# Waiting with a deadline. Tests never sleep for a fixed time and hope: they say what they wait
# for, and a deadline that passes says what was seen instead.

import time


class Timeout(AssertionError):
    """A deadline passed; an AssertionError so that pytest reports it as a plain failure."""


def wait_until(condition, timeout, what, evidence=None, step=0.02):
    """Calls condition() until it gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            break
        time.sleep(step)
    seen = f"\n{evidence()}" if evidence else ""
    raise Timeout(f"not within {timeout:g} s: {what}{seen}")
