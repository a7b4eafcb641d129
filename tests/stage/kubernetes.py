# SPDX-License-Identifier: GPL-3.0-only
"""Stand-ins for the kubelet and the API server: they answer by HTTPS with what a test gives them."""

import contextlib
import http.server
import ssl
import subprocess
import threading
from pathlib import Path

from .process import find_program


class Authority:
    """A certificate authority in a directory, and what it signs."""

    def __init__(self, directory, name="deepmon-test-ca"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "ca.crt"
        self.key = self.directory / "ca.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def openssl(self, *arguments):
        program = find_program("openssl", "openssl", "openssl")
        subprocess.run([program, *map(str, arguments)], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)

    def sign(self, name, *hosts):
        """(certificate, key) of a server that goes by those hosts: "IP:127.0.0.1", "DNS:node-1"."""
        key, request = self.directory / f"{name}.key", self.directory / f"{name}.csr"
        certificate, extensions = self.directory / f"{name}.crt", self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(hosts)}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                     f"/CN={name}", "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                     "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key


class Server:
    """Answers GET and POST by `answers`: {path: what}, a text, bytes, a status, or a function that gets the
    handler, which has the `body` that was sent.

    What it was asked is in `requests`: (path, the header Authorization).
    """

    def __init__(self, answers, certificate=None, key=None):
        self.answers = dict(answers)
        self.requests = []
        self.stopping = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def do_POST(self):
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_GET(self):
                server.requests.append((self.path, self.headers.get("Authorization")))
                answer = server.answers.get(self.path.split("?")[0], 404)
                if callable(answer):
                    answer(self)
                elif isinstance(answer, int):
                    self.reply(answer, b"")
                else:
                    self.reply(200, answer if isinstance(answer, bytes) else answer.encode())

            def reply(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def hang(self):
                """Until the stage is cleared."""
                server.stopping.wait(60)
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """One who does not trust us, or hangs up, is expected."""

            def finish_request(self, request, address):
                if certificate:
                    request.settimeout(20)
                    request = context.wrap_socket(request, server_side=True)
                super().finish_request(request, address)

        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
        self.scheme = "https" if certificate else "http"
        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def port(self):
        return self.server.server_address[1]

    def url(self, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        with contextlib.suppress(OSError):
            self.server.server_close()
