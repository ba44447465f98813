import BasculeModel
import BasculeNet

/// One HTTP request to an instance on loopback.
enum HealthProbe {
    /// Whether the instance answers with a 2xx status before the deadline; else why not, for people.
    static func check(port: Int, path: String, seconds: Double) -> String? {
        let deadline = Deadline.seconds(seconds)
        do {
            guard let loopback = IPAddress("127.0.0.1"), let number = UInt16(exactly: port) else {
                return "no such port"
            }
            let stream = try TCPStream.connect(to: .address(loopback, port: number), deadline: deadline)
            defer { stream.close() }
            let request =
                "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nUser-Agent: bascule\r\nConnection: close\r\n\r\n"
            try stream.write(request.utf8, deadline: deadline)
            var answer: [UInt8] = []
            while answer.count < 12 {
                let more = try stream.read(max: 512, deadline: deadline)
                guard !more.isEmpty else { return "the connection closed without an answer" }
                answer += more
            }
            let words = String(decoding: answer.prefix { $0 != 13 && $0 != 10 }, as: UTF8.self).split(separator: " ")
            guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
                return "the answer is not HTTP"
            }
            return (200..<300).contains(status) ? nil : "status \(status)"
        } catch {
            return BasculeError.wrapping(error, "no answer").message
        }
    }
}
