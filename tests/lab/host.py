# SPDX-License-Identifier: BSD-2-Clause
#
# One host of the lab: network, mount, UTS and PID namespaces of its own, held by an init that is
# nothing but `cat` on a pipe from us. When we go, however we go (kill -9 included), the pipe
# closes, that init ends, and the kernel takes every process, interface and mount of the host with
# it. Nothing has a name outside, so any number of labs can run side by side.
#
# What the host writes below /etc, /var and /run is its own: overlays on a tmpfs. The machine's
# files are never touched.

import ctypes
import os
import pathlib
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

from peers.waiting import eventually

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)

# Run as PID 1 of the host. SIGCHLD stays ignored over the exec: the kernel reaps orphans for us.
INIT = r"""
set -e
private=$1 name=$2
mount -t tmpfs -o mode=0755 lab "$private"
for dir in etc var; do
	mkdir "$private/$dir.changes" "$private/$dir.work"
	mount -t overlay \
		-o "lowerdir=/$dir,upperdir=$private/$dir.changes,workdir=$private/$dir.work" \
		lab "/$dir"
done
mkdir "$private/dev" "$private/dev/pts" "$private/dev/shm"
for device in null zero full random urandom tty; do
	: >"$private/dev/$device"
	mount --bind "/dev/$device" "$private/dev/$device"
done
ln -s /proc/self/fd "$private/dev/fd"
ln -s "$private.syslog" "$private/dev/log"
mount -t tmpfs lab "$private/dev/shm"
mount --rbind "$private/dev" /dev
mount -t tmpfs -o mode=0755 lab /run
mkdir -m 1777 /run/lock
hostname "$name"
# Each packet gets its ICMP answer: many primaries live at one host here.
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
# A resolv.conf that points elsewhere would write through: replace the link, not its target.
rm -f /etc/resolv.conf /etc/hosts
echo up
trap '' CHLD
exec cat >/dev/null
"""


def run_quietly(argv, **options):
    """Runs a command to its end; a failure shows what it printed."""
    done = subprocess.run(argv, text=True, capture_output=True, **options)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


class _Syslog:
    """What the host's programs send to /dev/log, one datagram per line, kept in a file."""

    def __init__(self, path, copy_to):
        self.copy_to = copy_to
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        os.chmod(path, 0o666)
        copy_to.touch()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        with open(self.copy_to, "ab", buffering=0) as copy:
            while True:
                try:
                    line = self.socket.recv(65536)
                except OSError:
                    return
                if not line:
                    return
                copy.write(line.rstrip(b"\n\0") + b"\n")

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Host:
    def __init__(self, scratch, name, fqdn=None):
        self.name = name
        self.fqdn = fqdn or name
        self.scratch = pathlib.Path(scratch) / name
        self.scratch.mkdir(mode=0o755)
        private = self.scratch / "private"
        private.mkdir()
        self.syslog_file = self.scratch / "syslog"
        self._syslog = _Syslog(f"{private}.syslog", self.syslog_file)
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child",
             "--mount-proc", "--propagation", "private",
             "--", "/bin/sh", "-c", INIT, "init", str(private), self.fqdn],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )

    def wait_up(self):
        """The constructor only starts the host, so that all hosts start at once."""
        if self._holder.stdout.readline() != b"up\n":
            self._holder.stdin.close()
            raise RuntimeError(
                f"host {self.name} did not come up (root and namespaces are needed): "
                + self._holder.stderr.read().decode(errors="replace")
            )
        children = f"/proc/{self._holder.pid}/task/{self._holder.pid}/children"
        self.init_pid = int(pathlib.Path(children).read_text().split()[0])
        self.root = pathlib.Path(f"/proc/{self.init_pid}/root")
        self._network = os.open(f"/proc/{self.init_pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")

    def close(self):
        """Every process of the host is gone when this returns."""
        self._holder.stdin.close()
        try:
            self._holder.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()
        self._syslog.close()
        if hasattr(self, "_network"):
            os.close(self._network)

    # Files, seen as the host sees them.

    def path(self, inside):
        return self.root / str(inside).lstrip("/")

    def write(self, inside, text, mode=0o644):
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        # Postfix programs sleep for a while on files younger than two seconds: they might change.
        long_ago = time.time() - 3600
        os.utime(path, (long_ago, long_ago))

    # Programs.

    def command(self, argv, user=None, network_only=False):
        """The command line that runs this inside. network_only: with the machine's own files."""
        enter = ["nsenter", f"--target={self.init_pid}", "--net"]
        if not network_only:
            enter += ["--mount", "--uts", "--pid"]
        if user is not None:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *argv]
        return [*enter, "--", *map(str, argv)]

    def run(self, argv, check=True, network_only=False, **options):
        command = self.command(argv, network_only=network_only)
        if check:
            return run_quietly(command, **options)
        return subprocess.run(command, text=True, capture_output=True, **options)

    def start(self, argv, user=None, **options):
        """Starts a program that stays."""
        return Process(self.command(argv, user=user), **options)

    def processes(self, pattern=None):
        """PIDs (as the machine sees them) of the host's processes whose name has the pattern."""
        ours = os.stat(f"/proc/{self.init_pid}/ns/pid").st_ino
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self.init_pid:
                continue
            try:
                if os.stat(f"/proc/{entry}/ns/pid").st_ino != ours:
                    continue
                name = pathlib.Path(f"/proc/{entry}/comm").read_text().strip()
                ended = not pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if ended:
                continue  # a zombie
            if pattern is None or pattern in name:
                found.append(int(entry))
        return found

    # Network.

    @contextmanager
    def network(self):
        """Sockets that this thread makes meanwhile belong to the host, and stay so."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(self._network)
            try:
                yield
            finally:
                self._enter(own)
        finally:
            os.close(own)

    @staticmethod
    def _enter(namespace):
        if _libc.setns(namespace, CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, "setns: " + os.strerror(error))

    def ip(self, *lines):
        self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", network_only=True)

    def nft(self, rules):
        self.run(["nft", "-f", "-"], input=rules, network_only=True)

    def accepts(self, port, address="127.0.0.1"):
        """Does something listen there?"""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.network(), socket.socket(family) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex((address, port)) == 0


class Process(subprocess.Popen):
    """A program in a host. Signals reach the program itself, not the nsenter around it."""

    def __init__(self, argv, **options):
        super().__init__(argv, **options)
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")

        def child():
            try:
                return children.read_text().split()
            except OSError:
                return []

        found = eventually(lambda: child() or self.poll() is not None, 5, "a child of nsenter",
                           pause=0.002)
        self.program_pid = int(found[0]) if isinstance(found, list) else None

    def send_signal(self, sig):
        if self.poll() is None and self.program_pid is not None:
            os.kill(self.program_pid, sig)
