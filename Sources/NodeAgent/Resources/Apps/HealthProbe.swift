import BasculeModel
import BasculeNet

/// One HTTP request on this node, of which only the status matters.
enum HealthProbe {
    /// Whether the instance answers with a 2xx status before the deadline; else why not, for people.
    static func check(port: Int, path: String, seconds: Double) -> String? {
        do {
            let status = try status(
                of: "http://127.0.0.1:\(port)\(path)", host: nil, deadline: .seconds(seconds))
            return (200..<300).contains(status) ? nil : "status \(status)"
        } catch {
            return BasculeError.wrapping(error, "no answer").message
        }
    }

    /// The status of a GET over plain HTTP. Reads no more than the first line of the answer.
    /// - Parameter host: the Host header; nil for the URL's own.
    static func status(of url: String, host: String?, deadline: Deadline) throws -> Int {
        let url = try HTTPURL(url)
        guard !url.secure else {
            throw BasculeError(
                .invalidInput, "a health probe speaks plain HTTP on the node itself", at: .thing("\(url)"))
        }
        let name = host ?? url.authority
        guard !name.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else {
            throw BasculeError(.invalidInput, "not a Host header", at: .thing(name))
        }
        let stream = try TCPStream.connect(to: .host(url.host, port: url.port), deadline: deadline)
        defer { stream.close() }
        let request =
            "GET \(url.target) HTTP/1.1\r\nHost: \(name)\r\nUser-Agent: bascule\r\nConnection: close\r\n\r\n"
        try stream.write(request.utf8, deadline: deadline)
        var answer: [UInt8] = []
        while answer.count < 12 {
            let more = try stream.read(max: 512, deadline: deadline)
            guard !more.isEmpty else {
                throw BasculeError(.connectionClosed, "the connection closed without an answer")
            }
            answer += more
        }
        let words = String(decoding: answer.prefix { $0 != 13 && $0 != 10 }, as: UTF8.self).split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw BasculeError(.protocolViolation, "the answer is not HTTP")
        }
        return status
    }
}
