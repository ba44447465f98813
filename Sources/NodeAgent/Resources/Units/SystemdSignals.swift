import BasculeModel
import BasculeNet

/// Hears from systemd which units changed, as it happens: no polling, no process.
package final class SystemdSignals {
    /// What was heard.
    package struct News {
        /// Units that are now in another state, or gone.
        package var units: Set<String> = []
        /// systemd read its units anew, or may have been missed: look at all.
        package var all = false
    }

    private let bus: SystemdBus

    /// Connects. To be made again where `news` throws: systemd executes itself anew when it is upgraded.
    package init() throws {
        bus = try SystemdBus(deadline: .seconds(5))
        var calls = [SystemdBus.Call("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Subscribe", [])]
        if !bus.isPrivate {
            let match = "type='signal',sender='org.freedesktop.systemd1'"
            calls.append(SystemdBus.Call("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", [match]))
        }
        // Signals that arrive among the answers are of no interest: everything is looked at after connecting.
        _ = try bus.ask(calls)
    }

    /// To be waited on with `poll`.
    package var descriptor: Int32 { bus.stream.pollDescriptor }

    /// Everything that has arrived; waits only for what is announced. Throws where systemd closed its bus.
    package func news() throws -> News {
        let more = try bus.stream.read(max: 65_536, deadline: .seconds(1))
        guard !more.isEmpty else { throw BasculeError(.inputOutput, "systemd closed its bus") }
        bus.buffer += more
        var news = News()
        do {
            while bus.buffer.count >= 16 {
                let (header, body) = try bus.sizes()
                guard bus.buffer.count >= header + body else { break }
                if let signal = try DBusSignal(bus.buffer[..<(header + body)]) { take(signal, &news) }
                bus.buffer.removeFirst(header + body)
            }
        } catch is DBusReader.Malformed {
            throw BasculeError(.inputOutput, "systemd's signal could not be read")
        }
        return news
    }

    private func take(_ signal: DBusSignal, _ news: inout News) {
        switch signal.member {
        case "PropertiesChanged": UnitPath.name(signal.path).map { _ = news.units.insert($0) }
        case "Reloading", "UnitFilesChanged": news.all = true
        default: break
        }
    }

    /// systemd's word for the whole system: `starting`, `running`, `degraded`, `stopping`…
    package static func systemState() -> String? {
        let call = SystemdBus.Call(
            "/org/freedesktop/systemd1", "org.freedesktop.DBus.Properties", "Get",
            ["org.freedesktop.systemd1.Manager", "SystemState"])
        return try? SystemdBus(deadline: .seconds(2)).ask([call]).first?.value
    }
}

/// Where a signal comes from and what it is called.
struct DBusSignal {
    private(set) var path = ""
    private(set) var interface = ""
    private(set) var member = ""

    /// - Parameter message: one whole message; nil where it is no signal.
    init?(_ message: ArraySlice<UInt8>) throws {
        guard message[message.startIndex + 1] == 4 else { return nil }
        var reader = DBusReader(message)
        _ = try reader.take(12)
        let end = Int(try reader.integer(4)) + 16
        while reader.offset < end {
            reader.align(8)
            let code = try reader.integer(1)
            let text = try reader.value(try reader.signature())
            switch code {
            case 1: path = text
            case 2: interface = text
            case 3: member = text
            default: break
            }
        }
    }
}

/// Units as systemd's bus names them: every byte but letters and digits as `_` and two hexadecimal digits.
enum UnitPath {
    private static let prefix = "/org/freedesktop/systemd1/unit/"

    /// The unit of an object's path; nil for other objects.
    static func name(_ path: String) -> String? {
        guard path.hasPrefix(prefix) else { return nil }
        var bytes: [UInt8] = []
        var rest = Array(path.utf8.dropFirst(prefix.utf8.count))[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "_") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
