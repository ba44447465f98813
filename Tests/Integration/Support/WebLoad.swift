/// Customers of shop.example on a node, in Node.js: each sends one request after the other, GET and POST by turns, and repeats
/// none. `load.js SECONDS KEPT FRESH STREAMS PAUSE`: so many who keep their connection, who come anew for each request,
/// and who share a connection of HTTP/2; PAUSE milliseconds between two requests.
enum WebLoad {
    struct Result: Decodable {
        struct Count: Decodable {
            var good: Int
            var failed: Int
        }

        /// Connections of HTTP/2.
        var sessions: Int
        var counts: [String: Count]
        var failures: [String]

        var summary: String {
            let parts = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.good)" }
            return "\(counts.values.map(\.good).reduce(0, +)) answered (\(parts.joined(separator: ", "))), "
                + "\(counts.values.map(\.failed).reduce(0, +)) failed, \(sessions) connections of HTTP/2"
        }
    }

    static let program = #"""
        const https = require('https');
        const http2 = require('http2');
        const [seconds, kept, fresh, streams, pause] = process.argv.slice(2).map(Number);
        const end = Date.now() + seconds * 1000;
        const host = 'shop.example';
        const counts = {};
        const failures = [];
        let sessions = 0;
        function note(kind, what) {
          const good = what === 200;
          counts[kind] = counts[kind] || { good: 0, failed: 0 };
          counts[kind][good ? 'good' : 'failed'] += 1;
          if (!good) failures.push(new Date().toISOString().slice(11, 23) + ' ' + kind + ' ' + what);
        }
        const rest = () => new Promise(done => setTimeout(done, Math.random() * 2 * (pause || 0)));
        const body = Buffer.alloc(20000, 'x');
        function one(agent, method) {
          return new Promise(done => {
            const request = https.request({ host: '127.0.0.1', servername: host, headers: { host }, method, path: '/buy', agent,
              rejectUnauthorized: false, timeout: 20000 }, response => {
              response.on('error', error => done('answer ' + error.code));
              response.on('data', () => {});
              response.on('end', () => done(response.complete ? response.statusCode : 'cut'));
            });
            request.on('timeout', () => request.destroy(new Error('timeout')));
            request.on('error', error => done((error.code || error.message) + (request.reusedSocket ? ' on a kept connection' : ' on a new connection')));
            request.end(method === 'POST' ? body : undefined);
          });
        }
        async function customer(keeps, number) {
          const agent = new https.Agent({ keepAlive: keeps, maxSockets: 1 });
          for (let turn = number; Date.now() < end; turn += 1) {
            const method = turn % 2 ? 'POST' : 'GET';
            note((keeps ? 'kept ' : 'fresh ') + method, await one(agent, method));
            await rest();
          }
          agent.destroy();
        }
        // One connection of HTTP/2 for all streams, as a browser has it; a new one when the server says that this one ends.
        let session;
        function connected() {
          if (session && !session.closed && !session.destroyed && !session.leaving) return session;
          const own = http2.connect('https://127.0.0.1', { servername: host, rejectUnauthorized: false });
          sessions += 1;
          own.on('goaway', () => { own.leaving = true; });
          own.on('error', () => {});
          return session = own;
        }
        function stream(method) {
          return new Promise(done => {
            let request;
            try { request = connected().request({ ':authority': host, ':method': method, ':path': '/buy' }, { endStream: method === 'GET' }); } catch (error) { return done(error.code); }
            let status = 0;
            request.setTimeout(20000, () => { request.close(); done('timeout'); });
            request.on('response', headers => { status = headers[':status']; });
            request.on('error', error => done(error.code + ' ' + error.message));
            request.on('data', () => {});
            request.on('end', () => done(status));
            request.on('close', () => done(request.rstCode ? 'reset ' + request.rstCode : status));
            if (method === 'POST') request.end(body);
          });
        }
        async function reader(number) {
          for (let turn = number; Date.now() < end; turn += 1) {
            const method = turn % 2 ? 'POST' : 'GET';
            note('h2 ' + method, await stream(method));
            await rest();
          }
        }
        const all = [];
        for (let n = 0; n < kept; n += 1) all.push(customer(true, n));
        for (let n = 0; n < fresh; n += 1) all.push(customer(false, n));
        for (let n = 0; n < streams; n += 1) all.push(reader(n));
        Promise.all(all).then(() => { if (session) session.close(); console.log(JSON.stringify({ sessions, counts, failures: failures.slice(0, 30) })); setTimeout(() => process.exit(0), 200); });

        """#
}
