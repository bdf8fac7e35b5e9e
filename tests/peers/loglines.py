# SPDX-License-Identifier: BSD-2-Clause
#
# Reads the daemon's log lines, which are an interface: `key=value` pairs, values quoted when they
# hold blanks or quotes, with `"` and `\` escaped by `\`. Which lines there are says
# etc/log-lines.md; problem() holds a line to it.

import functools
import os
import re

GRAMMAR = os.path.join(os.path.dirname(__file__), "..", "..", "etc", "log-lines.md")

# What -l puts before the line on stderr: a time and the level.
STDERR_PREFIX = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                           r"(error|warning|notice|info|debug): ")
PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)')
# Complaints about an ini file go to stderr as they are: nobody reads syslog for them.
INI_ERROR = re.compile(r"^backupmx-milter: |^/\S+?(?::\d+)?: ")


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


class Form:
    """One line of the grammar: its levels, its topic, and a regular expression."""

    TOKEN = re.compile(r"\[|\]|\(|\)|\||[A-Z]+(?![a-z])|[^\[\]()|A-Z ]+| ")

    def __init__(self, text, values):
        levels, self.text = text.split(None, 1)
        self.levels = set(levels.split(","))
        self.topic = self.text.split(":")[0]
        self.keys = re.findall(r"([a-z_]+)=", self.text)
        self.regex = re.compile(self._expression(self.text, values))

    @classmethod
    def _expression(cls, text, values):
        """Each blank belongs to what follows it: an optional part takes its own along."""
        out = []
        for token in cls.TOKEN.findall(re.sub(r" \[", "[ ", text)):
            if token == "[":
                out.append("(?:")
            elif token == "]":
                out.append(")?")
            elif token == "(":
                out.append("(?:")
            elif token in ")|":
                out.append(token)
            elif token.isupper():
                out.append("(?:%s)" % values[token])
            else:
                out.append(re.escape(token))
        return "".join(out)


class Grammar:
    def __init__(self, text):
        def block(name):
            found = re.search(r"^```%s\n(.*?)^```" % name, text, re.M | re.S)
            return [line for line in found.group(1).splitlines() if line.strip()]
        self.values = dict(line.split(None, 1) for line in block("values"))
        self.forms = [Form(line, self.values) for line in block("lines")]
        self.topics = {form.topic for form in self.forms}

    def forms_of(self, line):
        head = re.match(r"([A-Za-z0-9]+): ", line)
        topic = head.group(1) if head else None
        return [form for form in self.forms
                if form.topic == (topic if topic in self.topics else "QUEUEID")]

    def problem(self, line, at=None):
        """What is wrong with a line (no time and level before it) that came at that level."""
        forms = self.forms_of(line)
        matching = [form for form in forms if form.regex.fullmatch(line)]
        if any(at is None or at in form.levels for form in matching):
            return None
        if matching:
            return "%r came at level %s, but is given as\n    %s" % (
                line, at, "\n    ".join("%s %s" % (",".join(sorted(form.levels)), form.text)
                                        for form in matching))
        return ("%r is not in the grammar of log lines. If the line is right, add its form to "
                "etc/log-lines.md (and, if it is routine, to etc/logcheck). Forms that are "
                "there:\n    %s" % (line, "\n    ".join(form.text for form in forms)))


@functools.cache
def grammar():
    with open(GRAMMAR, encoding="utf-8") as file:
        return Grammar(file.read())


def problem(line):
    """What is wrong with a line of the daemon's stderr; None: nothing."""
    at = level(line)
    if at is not None:
        return grammar().problem(without_prefix(line), at)
    if INI_ERROR.search(line):
        return None
    return "%r on stderr is no log line" % line


def problems(lines):
    found = [text for text in map(problem, lines) if text]
    more = "\nand %d more" % (len(found) - 5) if len(found) > 5 else ""
    return "\n".join(found[:5]) + more
