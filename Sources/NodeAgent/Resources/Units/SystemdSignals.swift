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

    /// The units that are told of; nil for all, where systemd's own socket is what there is.
    package let units: Set<String>?

    /// Connects, to hear of these units: on the system bus, where every login and every timer of the node stays unheard,
    /// or on systemd's own socket where there is no such bus. To be made again where `news` throws (systemd executes
    /// itself anew when it is upgraded), and for other units.
    package init(of units: Set<String>) throws {
        do { (bus, self.units) = (try Self.filtered(units), units) } catch {
            bus = try SystemdBus(deadline: .seconds(5))
            if !bus.isPrivate { try Self.require(bus.ask([Self.match("")])) }
            self.units = nil
            // Signals that arrive among the answers are of no interest: everything is looked at after connecting.
            try Self.require(bus.ask([Self.subscribe]))
        }
    }

    /// Throws where there is no system bus, or it takes no such rules (it takes 512 of a connection).
    private static func filtered(_ units: Set<String>) throws -> SystemdBus {
        let bus = try SystemdBus(filtering: true, deadline: .seconds(5))
        guard !bus.isPrivate else { throw BasculeError(.unsupported, "there is no system bus") }
        let manager = ["Reloading", "UnitFilesChanged"].map { ",path='/org/freedesktop/systemd1',member='\($0)'" }
        let each = units.sorted().map { ",path='\(UnitPath.path($0))',member='PropertiesChanged'" }
        try require(bus.ask((manager + each).map(match) + [subscribe]))
        return bus
    }

    private static func match(_ rest: String) -> SystemdBus.Call {
        let rule = "type='signal',sender='org.freedesktop.systemd1'\(rest)"
        return SystemdBus.Call("/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", [rule])
    }

    private static let subscribe = SystemdBus.Call(
        "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Subscribe", [])

    private static func require(_ replies: [DBusReply]) throws {
        if let refused = replies.first(where: { $0.error != nil }) {
            throw BasculeError(
                .inputOutput, "systemd's signals could not be asked for",
                cause: refused.value.isEmpty ? refused.error : refused.value)
        }
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

    /// A unit's object, as systemd names it.
    static func path(_ unit: String) -> String {
        var text = prefix
        for (index, byte) in unit.utf8.enumerated() {
            let character = Character(UnicodeScalar(byte))
            let isLetter = byte < 128 && character.isLetter
            if isLetter || index > 0 && byte < 128 && character.isNumber {
                text.append(character)
            } else {
                text += byte < 16 ? "_0\(String(byte, radix: 16))" : "_\(String(byte, radix: 16))"
            }
        }
        return text
    }

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
