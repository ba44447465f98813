import BasculeModel

/// `probe:` what proves that something of the fleet's own serves.
package struct ProbeResource: Sendable, Equatable {
    /// Exactly one of them.
    package enum Question: Sendable, Equatable {
        /// Plain HTTP; `status` nil is any 2xx.
        case url(String, host: String?, status: Int?)
        /// `HOST:PORT`, what is said there, and what the answer must contain.
        case connect(String, send: String?, expect: String)
        case command(Command, user: String)
    }
    package var name = ""
    package var question: Question?
    /// The unit that runs it.
    package var unit: String?
    /// How long an apply waits. Default 30 s.
    package var timeout: Duration = .seconds(30)
    package init() {}
}

/// A probe as it is written; `url`, `connect` and `command` exclude each other.
struct DeclaredProbe: Declared {
    var resource = ProbeResource()
    var url: String?
    var host: String?
    var status: Int?
    var connect: String?
    var send: String?
    var expect: String?
    var command: Command?
    var user: String?

    static var about: String { "Proof that something serves: an apply waits for it, drift and status name it" }
    static var fields: [Field<DeclaredProbe>] {
        [
            .key("probe", \.resource.name, .name(.label), required: true, "Its name"),
            .key("url", \.url, .plainURL, "A URL on the node that answers; plain HTTP"),
            .key("host", \.host, .host, "The Host header for `url`; the URL's own if absent"),
            .key(
                "status", \.status, .integer(100...599, "an HTTP status"),
                "The status that is right; 200 to 299 if absent"),
            .key("connect", \.connect, .endpoint, "Where a TCP connection is accepted"),
            .key("send", \.send, .text(), "What is sent on that connection"),
            .key("expect", \.expect, .text(), "What the answer on it must contain"),
            .key("command", \.command, .command, "A program that ends with 0"),
            .key("user", \.user, .name(.account), "As whom `command` runs; root if absent"),
            .key("unit", \.resource.unit, .unitName, "The unit that runs it: waited for, and its journal shown"),
            .key("timeout", \.resource.timeout, .duration, "How long an apply waits for it"),
        ]
    }
}

extension Codec where Value == String {
    static var plainURL: Codec {
        .scalar(
            "an http:// URL", pattern: "^http://",
            parse: { text in
                let visible = text.unicodeScalars.allSatisfy { $0.isASCII && $0.value > 0x20 && $0.value < 0x7f }
                guard text.hasPrefix("http://"), text.utf8.count > 7, text.utf8.count <= 1024, visible else {
                    return nil
                }
                return SourceText.holdsPassword(text) ? nil : text
            })
    }
}

extension Variant where Value == CustomResource.Kind {
    /// A probe, once it is clear what it asks.
    static var probe: Variant {
        Variant(
            "probe", DeclaredProbe.self,
            checked: { declared, node, reader in
                var resource = declared.resource
                if let url = declared.url {
                    resource.question = .url(url, host: declared.host, status: declared.status)
                }
                if let endpoint = declared.connect {
                    resource.question = .connect(endpoint, send: declared.send, expect: declared.expect ?? "")
                }
                if let command = declared.command {
                    resource.question = .command(command, user: declared.user ?? "root")
                }
                let kinds = [("url", ["host", "status"]), ("connect", ["send", "expect"]), ("command", ["user"])]
                if reader.written(kinds.map(\.0), in: node) != 1 {
                    reader.error(
                        .fleetBadValue,
                        "\(reader.subject) must have one of the keys 'url', 'connect' and 'command'", at: node.span,
                        hint: "for example url: http://127.0.0.1:3000/healthz")
                }
                for (kind, own) in kinds where reader.written([kind], in: node) == 0 {
                    for key in own where reader.written([key], in: node) > 0 {
                        reader.error(
                            .fleetBadValue, "\(reader.subject) has '\(key)' but no '\(kind)'", at: node.span,
                            hint: "'\(key)' belongs to '\(kind)'")
                    }
                }
                return .probe(resource)
            })
    }
}
