# SPDX-License-Identifier: BSD-2-Clause
#
# A real web server for MTA-STS policies, in a host of the lab: one address, as many names as there
# are certificates, told apart by SNI as everywhere on the web.

import http.server
import ssl
import threading

PATH = "/.well-known/mta-sts.txt"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        host = self.headers.get("Host", "")
        code, headers, body = self.server.answers.get((host, self.path), (404, {}, b"no such page"))
        self.server.asked.append((host, self.path))
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # a client that doesn't trust us hangs up: as it should
        pass


class PolicyServer:
    """with PolicyServer(host, address) as server: server.serve(...)"""

    def __init__(self, host, address):
        self._contexts = {}
        with host.network():
            self._server = _Server((address, 443), _Handler)
        self._server.answers = {}
        self._server.asked = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._choose
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)

    def _choose(self, connection, name, _context):
        if name not in self._contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = self._contexts[name]
        return None

    @property
    def asked(self):
        """(host, path) of all requests."""
        return list(self._server.asked)

    def serve(self, host, certificate, body="", code=200, content_type="text/plain", **headers):
        """host: its name on the web. certificate: a peers.certificates.Certificate."""
        self._contexts[host] = certificate.context()
        if content_type is not None:
            headers["Content-Type"] = content_type
        self._server.answers[host, PATH] = (code, headers, body.encode())

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
