# SPDX-License-Identifier: BSD-2-Clause
#
# Reads the daemon's log lines, which are an interface: `key=value` pairs, values quoted when they
# hold blanks or quotes, with `"` and `\` escaped by `\`.

import re

# What -l puts before the line on stderr: a time and the level.
STDERR_PREFIX = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                           r"(error|warning|notice|info|debug): ")
PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')


def level(line):
    found = STDERR_PREFIX.match(line)
    return found.group(1) if found else None


def without_prefix(line):
    return STDERR_PREFIX.sub("", line, count=1)


def fields(line):
    """The pairs of a line as a dict. The first word ("NOQUEUE", "health", ...) is under ""."""
    text = without_prefix(line)
    head, _, rest = text.partition(" ")
    out = {"": head.rstrip(":")}
    position = 0
    while position < len(rest):
        found = PAIR.match(rest, position)
        if not found:
            raise ValueError("not key=value at %r in %r" % (rest[position:], line))
        value = found.group(2)
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if found.group(1) in out:
            raise ValueError("key %s twice in %r" % (found.group(1), line))
        out[found.group(1)] = value
        position = found.end()
    return out
