#!/usr/bin/env python3
"""Milliseconds until a report stands in a browser, drawn: page.py report.html [CHROMIUM]

Serves the page to headless Chromium (Debian's package), with a line that tells when it is loaded and its first frame drawn.
"""

import http.server
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

TELL = b"""<script>addEventListener("load", () => requestAnimationFrame(() => setTimeout(() =>
navigator.sendBeacon("/drawn", String(performance.now())))))</script></body>"""
page = Path(sys.argv[1]).read_bytes().replace(b"</body>", TELL)
drawn = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = page if self.path == "/" else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        print(f"{float(self.rfile.read(int(self.headers['Content-Length']))):.0f} ms, {len(page) / 1e6:.1f} MB")
        self.send_response(204)
        self.end_headers()
        drawn.set()

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    browser = [sys.argv[2] if len(sys.argv) > 2 else "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    process = subprocess.Popen([*browser, f"http://127.0.0.1:{server.server_port}/"], stderr=subprocess.DEVNULL)
    found = drawn.wait(60)
    process.terminate()
    process.wait()
sys.exit(0 if found else "the page was not drawn within a minute")
