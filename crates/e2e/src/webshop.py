"""A small web application with sessions in its own memory, as people write them.

A session's id stands in the links, forms and redirections of its pages, or in a cookie for those who take one. An id that it
does not know begins a new session with a new id, so that a client who is sent to the wrong server starts from one.
"""

import gzip
import html
import secrets
import sys
from http import cookies
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAME = sys.argv[1]
SESSIONS = {}

PAGE = """<!DOCTYPE html>
<html><head><title>Shop</title></head><body>
<!-- {padding} -->
<p id="facts">server={name} session={sid} count={count}</p>
<a href="http://elsewhere.example/?sid=planted-0123456789">our friends</a>
<ul><li><a href="/cart?page=1&amp;sid={sid}">cart</a>
<li><a href='/buy;x=1?sid={sid}'>buy</a></ul>
<form action="/search"><input type="hidden" name="sid" value="{sid}"><input name="q"></form>
</body></html>
"""

PLAIN = """<!DOCTYPE html>
<html><body><p id="facts">server={name} session={sid} count={count}</p></body></html>
"""


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *words):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/check":
            return self.answer(200, b"ok", [("Content-Type", "text/plain")])
        takes_cookies = url.path.startswith("/cookies")
        jar = cookies.SimpleCookie(self.headers.get("Cookie", ""))
        given = parse_qs(url.query).get("sid", [None])[0]
        if takes_cookies:
            given = jar["APPSESSION"].value if "APPSESSION" in jar else None
        sid = given if given in SESSIONS else NAME + "-" + secrets.token_hex(12)
        SESSIONS[sid] = SESSIONS.get(sid, 0) + 1
        fields = [("Content-Type", "text/html; charset=utf-8")]
        if takes_cookies and sid != given:
            fields.append(("Set-Cookie", "APPSESSION=%s; Path=/; HttpOnly" % sid))
        if url.path == "/enter":
            fields.append(("Location", "/cart?from=enter&sid=%s" % sid))
            return self.answer(303, b"", fields)
        facts = dict(name=NAME, sid=html.escape(sid), count=SESSIONS[sid], padding="x" * 4000)
        page = (PLAIN if takes_cookies else PAGE).format(**facts).encode()
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            page = gzip.compress(page)
            fields.append(("Content-Encoding", "gzip"))
        self.answer(200, page, fields)

    def answer(self, status, body, fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if status == 200 and len(body) > 1000:
            # As an application server does that makes a page while it sends it.
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(body), 700):
                piece = body[at:at + 700]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server((sys.argv[2], int(sys.argv[3])), Shop).serve_forever()
