#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs a command of a systemd unit as systemd would, where systemd isn't: below another root, with
# the unit's user, folders, read-only file systems, capabilities and filters of system calls.
#
#   unshare --mount --propagation private sandbox.py ROOT UNIT [ExecReload]
#
# Needs root, a PID namespace with a /proc of its own, and python3-seccomp. A directive that it
# doesn't know is an error: nothing in the unit goes unheeded in silence.

import contextlib
import ctypes
import errno
import os
import pathlib
import pwd
import re
import resource
import shlex
import socket
import subprocess
import sys

import seccomp

# They follow from others that are carried out here, or are the service manager's own affair.
NOTHING_TO_DO = {
    "Type", "NotifyAccess", "Restart", "RestartSec", "RestartPreventExitStatus", "WatchdogSec",
    "TimeoutStopSec", "RemoveIPC", "ExecReload", "ExecStart",
    # no capability that could: a process without any is all that starts here
    "ProtectClock", "ProtectHostname", "ProtectKernelModules",
    # /proc has only processes, there is no /sys and no /dev/kmsg
    "ProtectControlGroups", "ProtectKernelLogs", "ProtectKernelTunables",
}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
              0x00000080)
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
# Allowed whatever the filter says: systemd.exec(5).
ALWAYS_ALLOWED = ("execve", "exit", "exit_group", "rt_sigreturn", "clock_gettime", "gettimeofday",
                  "time", "getrlimit")


class Unit:
    def __init__(self, path):
        service = re.search(r"^\[Service\]\n(.*?)(?=^\[|\Z)", path.read_text(), re.M | re.S)[1]
        self.lines = re.findall(r"^(\w+)=(.*)$", service, re.M)

    def all(self, key):
        return [value for name, value in self.lines if name == key]

    def get(self, key, default=""):
        return (self.all(key) or [default])[-1]

    def yes(self, key):
        return self.get(key) in ("yes", "true", "on", "1")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def folders(unit, root, user):
    """Those that systemd makes; the ones that may be written into."""
    for kind, base in (("Runtime", "run"), ("State", "var/lib"), ("Configuration", "etc")):
        for name in unit.get(f"{kind}Directory").split():
            path = root / base / name
            path.mkdir(parents=True, exist_ok=True)
            if kind != "Configuration":
                path.chmod(int(unit.get(f"{kind}DirectoryMode", "0755"), 8))
                os.chown(path, user.pw_uid, user.pw_gid)
                yield path
    for path in unit.get("ReadWritePaths").split():
        yield root / path.lstrip("-/")


def file_systems(unit, root, user):
    writable = list(folders(unit, root, user))
    mount("--bind", root, root)
    if unit.get("ProtectSystem") == "strict":
        mount("-o", "remount,bind,ro", root)
        for path in writable:
            mount("--bind", path, path)
            mount("-o", "remount,bind,rw", path)
    if unit.yes("PrivateTmp"):
        for path in ("tmp", "var/tmp"):
            mount("-t", "tmpfs", "-o", "mode=1777", "private", root / path)
    if unit.yes("ProtectHome"):
        for path in ("home", "root"):
            mount("-t", "tmpfs", "-o", "ro,mode=0", "hidden", root / path)
    devices(root)
    options = ["hidepid=" + unit.get("ProtectProc", "default").replace("default", "off")]
    if unit.get("ProcSubset") == "pid":
        options.append("subset=pid")
    mount("-t", "proc", "-o", ",".join(options), "proc", root / "proc")


def devices(root):
    """PrivateDevices, and the way to the log."""
    mount("-t", "tmpfs", "-o", "mode=755", "devices", root / "dev")
    for name in (*DEVICES, "log"):
        (root / "dev" / name).touch()
        mount("--bind", pathlib.Path("/dev", name).resolve(), root / "dev" / name)
    mount("-o", "remount,ro", root / "dev")


def groups_of_calls():
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], check=True,
                          capture_output=True, text=True).stdout
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    groups, name = {}, None
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            groups[name] = []
        elif word and not word.startswith("#") and line[0] == " " and name:
            groups[name].append(word)
    return groups


def members(groups, word):
    if not word.startswith("@"):
        return {word}
    return set().union(*(members(groups, inner) for inner in groups[word]))


def allowed_calls(unit):
    """None without a filter. Its first line says whether it allows or forbids: ours allows."""
    groups, allowed = groups_of_calls(), None
    for line in unit.all("SystemCallFilter"):
        words = line.lstrip("~").split()
        calls = set().union(*(members(groups, word) for word in words))
        if allowed is None:
            assert not line.startswith("~"), "a list that forbids isn't carried out here"
            allowed = members(groups, "@default")
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return None if allowed is None else allowed | set(ALWAYS_ALLOWED)


def forbid(*rules, code=errno.EPERM):
    """A filter of its own, as systemd has one for each directive."""
    chosen = seccomp.SyscallFilter(seccomp.ALLOW)
    for call, *conditions in rules:
        chosen.add_rule(seccomp.ERRNO(code), call, *conditions)
    chosen.load()


def has(argument, bits):
    return seccomp.Arg(argument, seccomp.MASKED_EQ, bits, bits)


def system_calls(unit, allowed):
    families = unit.get("RestrictAddressFamilies").split()
    if families:
        known = {getattr(socket, name) for name in families}
        forbid(*(("socket", seccomp.Arg(0, seccomp.EQ, number))
                 for number in range(50) if number not in known),
               ("socket", seccomp.Arg(0, seccomp.GE, 50)), code=errno.EAFNOSUPPORT)
    if unit.yes("RestrictNamespaces"):
        forbid(("setns",), *(("unshare", has(0, flag)) for flag in NAMESPACES),
               *(("clone", has(0, flag)) for flag in NAMESPACES if flag != 0x80))
        forbid(("clone3",), code=errno.ENOSYS)
    if unit.yes("RestrictRealtime"):
        forbid(("sched_setscheduler", seccomp.Arg(1, seccomp.EQ, 1)),
               ("sched_setscheduler", seccomp.Arg(1, seccomp.EQ, 2)), ("sched_setattr",))
    if unit.yes("RestrictSUIDSGID"):
        forbid(*((call, has(place, bit)) for bit in (0o4000, 0o2000)
                 for call, place in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1),
                                     ("mkdirat", 2), ("mknod", 1), ("mknodat", 2))))
    if unit.yes("LockPersonality"):
        forbid(("personality", seccomp.Arg(0, seccomp.NE, 0)))
    if unit.yes("MemoryDenyWriteExecute"):
        forbid(("mmap", has(2, PROT_WRITE | PROT_EXEC)), ("mprotect", has(2, PROT_EXEC)),
               ("pkey_mprotect", has(2, PROT_EXEC)), ("shmat", has(2, SHM_EXEC)))
    assert unit.get("SystemCallArchitectures") == "native", "libseccomp's default is all there is"
    if allowed is not None:
        last = seccomp.SyscallFilter(
            seccomp.ERRNO(getattr(errno, unit.get("SystemCallErrorNumber"))))
        for call in sorted(allowed):
            with contextlib.suppress(RuntimeError, ValueError):  # another machine's
                last.add_rule(seccomp.ALLOW, call)
        last.load()


def prctl(option, value):
    return ctypes.CDLL(None).prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0)))


def rights(unit, user):
    assert not unit.get("CapabilityBoundingSet") and not unit.get("AmbientCapabilities")
    if "CapabilityBoundingSet" in dict(unit.lines):
        for number in range(64):
            prctl(PR_CAPBSET_DROP, number)
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if unit.yes("NoNewPrivileges"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)


HEEDED = NOTHING_TO_DO | {
    "User", "Group", "UMask", "LimitNOFILE", "NoNewPrivileges", "CapabilityBoundingSet",
    "AmbientCapabilities", "ProtectSystem", "ReadWritePaths", "ProtectHome", "PrivateTmp",
    "PrivateDevices", "ProtectProc", "ProcSubset", "RestrictAddressFamilies", "RestrictNamespaces",
    "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute",
    "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "RuntimeDirectory",
    "RuntimeDirectoryMode", "StateDirectory", "StateDirectoryMode", "ConfigurationDirectory",
}


def main(root, unit_path, command="ExecStart"):
    root = pathlib.Path(root)
    unit = Unit(pathlib.Path(unit_path))
    unknown = {key for key, _ in unit.lines} - HEEDED
    if unknown:
        sys.exit(f"{unit_path}: sandbox.py doesn't know what to do with {', '.join(unknown)}")
    # The user is one of that root's.
    entry = re.search(rf"^{unit.get('User')}:.*$", (root / "etc/passwd").read_text(), re.M)[0]
    name, _, uid, gid, gecos, home, shell = entry.split(":")
    user = pwd.struct_passwd((name, "x", int(uid), int(gid), gecos, home, shell))
    allowed = allowed_calls(unit)
    file_systems(unit, root, user)
    os.chroot(root)
    os.chdir("/")
    os.umask(int(unit.get("UMask", "0022"), 8))
    # As far as it may be raised: a container's root may not.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = int(unit.get("LimitNOFILE"))
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    argv = shlex.split(unit.get(command))
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                   "LANG": "C.UTF-8", "HOME": home, "USER": name, "LOGNAME": name,
                   "SHELL": shell.strip()}
    if command == "ExecStart":
        environment["NOTIFY_SOCKET"] = "/run/systemd/notify"
    rights(unit, user)
    system_calls(unit, allowed)
    os.execve(argv[0], argv, environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
