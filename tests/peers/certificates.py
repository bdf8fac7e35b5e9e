# SPDX-License-Identifier: BSD-2-Clause
#
# Certificates for the scripted servers, made by openssl(1) at test time: a small authority, and
# good, expired and wrongly named server certificates signed by it.

import os
import ssl
import subprocess


class Certificate:
    """A certificate file and its key."""

    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key
        self._context = None

    def context(self):
        """A server-side TLS context, made once."""
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)
            self._context = context
        return self._context


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.certificate = self._path("authority.pem")
        self.key = self._path("authority.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                      "-nodes", "-days", "30", "-subj", "/CN=Test authority",
                      "-keyout", self.key, "-out", self.certificate)

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("openssl %s: %s" % (" ".join(arguments), done.stderr))

    def issue(self, name, days=10):
        """A certificate for host `name`. Negative `days` makes one that has expired."""
        label = "%s%+d" % (name, days)
        key, request, out = (self._path(label + end) for end in (".key", ".csr", ".pem"))
        extensions = self._path(label + ".ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:%s\n" % name)
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-subj", "/CN=%s" % name, "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                      "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", out)
        return Certificate(out, key)

    def self_signed(self, name, days=10):
        """A certificate for host `name` that nobody but itself vouches for."""
        key, out = self._path("self-signed.key"), self._path("self-signed.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                      "-nodes", "-days", str(days), "-subj", "/CN=%s" % name,
                      "-addext", "subjectAltName=DNS:%s" % name, "-keyout", key, "-out", out)
        return Certificate(out, key)
