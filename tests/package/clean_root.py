# SPDX-License-Identifier: BSD-2-Clause
#
# A Debian of its own below a folder: what debootstrap makes, with Postfix as a fresh installation
# has it, where nothing of ours has ever been. Making it takes a minute and the network, so it is
# kept as a tar below build/ for a week. It is used from inside a host of the lab, so that its
# processes, mounts and network end with that host.

import fcntl
import os
import pathlib
import shutil
import subprocess
import time

from lab.host import run_quietly

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = TOP / "build/package"
KEPT = 7 * 86400
SOURCES = ("sources.list", "sources.list.d")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
APT = ["apt-get", "-q", "-y", "--no-install-recommends"]
# What apt and dpkg keep for themselves, caches, and what every program may leave a line in.
PASSING = ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "proc", "dev", "sys", "tmp",
           "run/lock", "var/lib/systemd/deb-systemd-helper-enabled", "packages")
# Copies made by passwd's tools before a change, and the linker's cache.
PASSING_FILES = ("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/ld.so.cache",
                 "etc/.pwd.lock")


def environment():
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return ENVIRONMENT | proxies


def release():
    text = pathlib.Path("/etc/os-release").read_text()
    return next(line.partition("=")[2].strip('"') for line in text.splitlines()
                if line.startswith("VERSION_CODENAME="))


def mirror():
    """Where this machine gets the release from: the first of apt's own places for it."""
    listed = run_quietly(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)",
                          "Created-By: Packages"])
    return next(line.split()[0] for line in listed.splitlines() if line.split()[1] == release())


def with_machines_network(root, name, script):
    """A script in the new root, before it is anybody's host: packages are fetched here."""
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    run_quietly(["unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child",
                 "--propagation", "private", "sh", "-ec",
                 'hostname "$2"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; '
                 'exec chroot "$1" sh -exc "$3"', "sh", root, name, script], env=environment())


def make(folder, name, address):
    run_quietly(["debootstrap", "--variant=minbase", release(), folder, mirror()],
                env=environment())
    for source in SOURCES:
        path = pathlib.Path("/etc/apt", source)
        if path.is_dir():
            shutil.copytree(path, folder / "etc/apt" / source, dirs_exist_ok=True)
        elif path.exists():
            shutil.copy(path, folder / "etc/apt" / source)
    if not pathlib.Path("/etc/apt/sources.list").exists():
        (folder / "etc/apt/sources.list").unlink(missing_ok=True)
    keys = pathlib.Path("/usr/share/keyrings")
    shutil.copytree(keys, folder / "usr/share/keyrings", dirs_exist_ok=True)
    policy = folder / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # It lives for a minute: nobody needs it to survive a power cut.
    (folder / "etc/dpkg/dpkg.cfg.d/no-sync").write_text("force-unsafe-io\n")
    (folder / "etc/hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
    with_machines_network(folder, name, f"apt-get -q update; {' '.join(APT)} install postfix")


def fetch_dependencies(folder, name, package):
    """What the package depends on is fetched, not installed: that it comes with the package is to
    be seen. Archives are kept beside the tar."""
    kept, archives = CACHE / "archives", folder / "var/cache/apt/archives"
    kept.mkdir(exist_ok=True)
    shutil.copytree(kept, archives, dirs_exist_ok=True)
    shutil.copy(package, folder / "tmp/backupmx-milter.deb")
    fetch = f"{' '.join(APT)} --download-only install /tmp/backupmx-milter.deb"
    # A version may have left the mirror since the lists were made.
    with_machines_network(folder, name, f"""
        {fetch} || {{ apt-get -q update; {fetch}; }}
        rm /tmp/backupmx-milter.deb""")
    for archive in archives.glob("*.deb"):
        shutil.copy(archive, kept)


def unpack(folder, name, address, package):
    """A clean root, from the tar; that is made when there is none, or an old one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    tar = CACHE / f"debian-{release()}.tar"
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tar.exists() or time.time() - tar.stat().st_mtime > KEPT:
            making = CACHE / "making"
            shutil.rmtree(making, ignore_errors=True)
            make(making, name, address)
            run_quietly(["tar", "--one-file-system", "--numeric-owner", "-C", making, "-cf",
                         tar.with_suffix(".new"), "."])
            tar.with_suffix(".new").rename(tar)
            shutil.rmtree(making)
            shutil.rmtree(CACHE / "archives", ignore_errors=True)
        run_quietly(["tar", "--numeric-owner", "-C", folder, "-xpf", tar])
        fetch_dependencies(folder, name, package)


class CleanRoot:
    """Unpacked into `folder`, and used by `host` of the lab, whose name and network it gets."""

    def __init__(self, folder, host, address, package):
        self.folder = pathlib.Path(folder)
        self.host = host
        unpack(self.folder, host.fqdn, address, package)
        self.folder.chmod(0o755)
        self._mount()

    def _mount(self):
        log = f"{self.host.scratch}/private.syslog"
        self.host.run(["sh", "-ec", 'rm -f /dev/log; : >/dev/log; mount --bind "$2" /dev/log; '
                       'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"',
                       "sh", self.folder, log])

    def path(self, inside):
        return self.folder / str(inside).lstrip("/")

    def run(self, *argv, check=True, **options):
        return self.host.run(["chroot", self.folder, *argv], check=check,
                             env=ENVIRONMENT, **options)

    def apt(self, *arguments, **options):
        return self.run(*APT, "-o", "Dpkg::Options::=--force-confold", *arguments, **options)

    def add_package(self, path):
        """Where apt-get install finds a file as a user has it."""
        (self.folder / "packages").mkdir(exist_ok=True)
        shutil.copy(path, self.folder / "packages")
        return f"/packages/{pathlib.Path(path).name}"

    def files(self):
        """Each file with kind, mode, owner and size, but for what passes."""
        found = {}
        for folder, folders, names in os.walk(self.folder):
            inside = os.path.relpath(folder, self.folder)
            folders[:] = [name for name in folders
                          if os.path.normpath(f"{inside}/{name}") not in PASSING]
            for name in (*folders, *names):
                path = os.path.normpath(f"{inside}/{name}")
                if path in PASSING_FILES:
                    continue
                facts = os.lstat(self.folder / path)
                size = facts.st_size if name in names else 0
                found[path] = (oct(facts.st_mode), facts.st_uid, facts.st_gid, size)
        return found
