import Foundation
import Testing

/// A real process that serves a test, ended by its own id when the test lets go of it.
final class ServerProcess {
    let port: UInt16
    let process: Process
    private let output: Pipe

    /// Starts a program that prints `PORT n` once it listens.
    init(_ program: String, _ arguments: [String]) throws {
        process = Process()
        output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardOutput = output
        try process.run()
        var text = ""
        while !text.contains("\n") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw ServerProblem.didNotStart(text) }
            text += String(decoding: data, as: UTF8.self)
        }
        guard let number = text.split(whereSeparator: \.isWhitespace).dropFirst().first, let port = UInt16(number)
        else {
            throw ServerProblem.didNotStart(text)
        }
        self.port = port
    }

    /// Starts a program that listens on a port of the test's choice and says nothing.
    init(quiet program: String, _ arguments: [String], port: UInt16) throws {
        process = Process()
        output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.port = port
    }

    deinit { stop() }

    func stop() {
        // SIGKILL: a child started from one of Dispatch's threads inherits their mask, which blocks SIGTERM.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        while process.isRunning { usleep(2000) }
    }
}

enum ServerProblem: Error {
    case didNotStart(String)
    case commandFailed(String)
}

/// A directory that goes away with its owner.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "bascule-net-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
        return path + "/" + name
    }

    func read(_ name: String) throws -> String { try String(contentsOfFile: path + "/" + name, encoding: .utf8) }
}

/// A port that nobody uses just now.
func freePort() throws -> UInt16 {
    let text = try run(
        "python3", "-c", "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
    return try #require(UInt16(text.trimmingCharacters(in: .whitespacesAndNewlines)))
}

/// Runs a command to its end; its output.
@discardableResult
func run(_ arguments: String..., input: String = "") throws -> String {
    let process = Process()
    let output = Pipe()
    let source = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardInput = source
    process.standardOutput = output
    process.standardError = output
    try process.run()
    source.fileHandleForWriting.write(Data(input.utf8))
    try source.fileHandleForWriting.close()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    while process.isRunning { usleep(2000) }
    let text = String(decoding: data, as: UTF8.self)
    guard process.terminationStatus == 0 else { throw ServerProblem.commandFailed(text) }
    return text
}

/// A mode of the Python server below.
func serve(_ scratch: Scratch, _ mode: String, _ arguments: String...) throws -> ServerProcess {
    let script = try scratch.write("server.py", pythonServer)
    return try ServerProcess("python3", ["-u", script, mode] + arguments)
}

private let pythonServer = #"""
    import http.server, json, os, re, socket, ssl, sys, threading, time, urllib.parse, uuid

    mode, args = sys.argv[1], sys.argv[2:]

    def listen():
        s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0)); s.listen(64); return s

    def each(s, handle):
        def guarded(c):
            try: handle(c)
            except Exception: pass
            finally: c.close()
        while True:
            c, _ = s.accept()
            threading.Thread(target=guarded, args=(c,), daemon=True).start()

    def echo(c):
        while (data := c.recv(65536)): c.sendall(data)

    def tls_context():
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); ctx.load_cert_chain(args[0], args[1]); return ctx

    class Site(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *a): pass
        def answer(self, status, body=b"", headers=()):
            body = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            for k, v in headers: self.send_header(k, v)
            self.send_header("Content-Length", str(len(body))); self.end_headers()
            if self.command != "HEAD": self.wfile.write(body)
        def payload(self): return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        def do(self):
            body = self.payload(); path = urllib.parse.urlsplit(self.path).path
            if path == "/hello": return self.answer(200, "hello")
            if path == "/port": return self.answer(200, str(self.client_address[1]))
            if path == "/echo":
                return self.answer(200, json.dumps({"method": self.command, "path": self.path, "body": body.decode("latin1"),
                    "headers": [[k, v] for k, v in self.headers.items()]}))
            if path == "/chunked":
                self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
                for part in (b"one ", b"two ", b"three"): self.wfile.write(b"%x;x=y\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\nX-Trailer: 1\r\n\r\n"); return
            if path == "/until-close":
                self.send_response(200); self.end_headers(); self.wfile.write(b"to the end"); self.close_connection = True; return
            if path == "/short":
                self.send_response(200); self.send_header("Content-Length", "100"); self.end_headers()
                self.wfile.write(b"only this"); self.close_connection = True; return
            if path.startswith("/big/"): return self.answer(200, b"x" * int(path[5:]))
            if path == "/slow": time.sleep(5); return self.answer(200)
            if path.startswith("/redirect/"):
                n = int(path[10:]); return self.answer(302, "", [("Location", "/hello" if n == 0 else str(n - 1))])
            if path == "/see-other": return self.answer(303, "", [("Location", "/echo")])
            if path == "/maintenance": return self.answer(503, "", [("Retry-After", "30")])
            if path == "/drop": self.close_connection = True; return
            self.answer(404, "nothing here")
        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do

    class Shop(Site):
        """A small shop: a form login with a token and a session cookie, products, orders, a maintenance switch."""
        sessions, orders, name, down = {}, {}, "old", False
        def session(self):
            m = re.search(r"sid=(\w+)", self.headers.get("Cookie") or ""); return self.sessions.get(m.group(1)) if m else None
        def do(self):
            body = self.payload(); path = urllib.parse.urlsplit(self.path).path; tag = [("X-Served-By", Shop.name)]
            if path == "/admin":
                q = dict(urllib.parse.parse_qsl(body.decode())); Shop.name = q.get("name", Shop.name)
                Shop.down = q.get("down", "0") == "1"; return self.answer(200, "ok")
            if path == "/orders.json": return self.answer(200, json.dumps(Shop.orders))
            if Shop.down: return self.answer(503, "back soon", tag + [("Retry-After", "60")])
            if path == "/login" and self.command == "GET":
                sid = uuid.uuid4().hex; token = uuid.uuid4().hex; Shop.sessions[sid] = {"csrf": token, "user": None}
                return self.answer(200, '<form><input name="csrf" value="%s"></form>' % token,
                    tag + [("Set-Cookie", "sid=%s; Path=/; HttpOnly" % sid)])
            s = self.session()
            if path == "/login":
                q = dict(urllib.parse.parse_qsl(body.decode()))
                if not s or q.get("csrf") != s["csrf"] or q.get("password") != "p&ss=1": return self.answer(403, "no")
                s["user"] = q["user"]; return self.answer(302, "", tag + [("Location", "/account")])
            if path == "/account": return self.answer(200, "Welcome " + s["user"], tag) if s and s["user"] else self.answer(401)
            if path == "/products": return self.answer(200, json.dumps({"items": [{"id": 7, "name": "bag", "price": 12.5}], "more": False}), tag)
            if not s or not s["user"]: return self.answer(401, "log in first", tag)
            if path == "/orders" and self.command == "POST":
                q = json.loads(body)
                if q.get("product") != 7 or q.get("quantity") != 2: return self.answer(422, "no", tag)
                key = uuid.uuid4().hex; Shop.orders[key] = Shop.name
                return self.answer(201, json.dumps({"order": {"id": key}}), tag + [("Location", "/orders/" + key)])
            if path.startswith("/orders/") and self.command == "DELETE":
                return self.answer(204 if Shop.orders.pop(path[8:], None) else 404, "", tag)
            if path == "/logout":
                s["user"] = None
                return self.answer(200, "bye", tag + [("Set-Cookie", "sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT")])
            self.answer(404, "nothing here", tag)
        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do

    if mode == "unix":
        s = socket.socket(socket.AF_UNIX); s.bind(args[0]); s.listen(8); print("PORT 1"); each(s, echo)
    elif mode in ("echo", "silent", "raw"):
        s = listen(); print("PORT", s.getsockname()[1])
        def raw(c): c.recv(65536); c.sendall(open(args[0], "rb").read())
        each(s, {"echo": echo, "silent": lambda c: time.sleep(60), "raw": raw}[mode])
    elif mode in ("tls-echo", "tls-cut", "tls-old"):
        ctx = tls_context(); s = listen(); print("PORT", s.getsockname()[1])
        if mode == "tls-old": ctx.minimum_version = ctx.maximum_version = ssl.TLSVersion.TLSv1_1; ctx.set_ciphers("ALL:@SECLEVEL=0")
        def handle(c):
            t = ctx.wrap_socket(c, server_side=True)
            if mode == "tls-echo": echo(t); t.unwrap()
            else: t.recv(100); t.sendall(b"half"); os.close(t.detach())
        each(s, handle)
    else:
        where = (args[0], int(args[1])) if mode == "shop" and args else ("127.0.0.1", 0)
        if mode == "shop" and len(args) > 2: Shop.name = args[2]
        server = http.server.ThreadingHTTPServer(where, {"http": Site, "https": Site, "shop": Shop}[mode])
        server.daemon_threads = True
        if mode == "https": server.socket = tls_context().wrap_socket(server.socket, server_side=True)
        print("PORT", server.server_address[1]); server.serve_forever()
    """#
