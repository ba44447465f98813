import BasculeModel
import BasculeProtocol
import Glibc

/// What the forced command of a replaced controller's key runs: one refusal, whatever is asked.
enum Replaced {
    static func answer() throws {
        var decoder = FrameDecoder()
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            decoder.feed(buffer[..<count])
            guard let frame = try decoder.next() else { continue }
            let refusal = BasculeError(
                .staleController,
                "this controller was replaced: another workstation has adopted the fleet, or its keys were rotated",
                hint:
                    "do not use this copy of the store any more; to take the fleet back with root's login: bascule adopt"
            )
            try DurableFile.writeAll(
                try Wire.frame(.reply, id: frame.id, Reply.refused(refusal)), to: STDOUT_FILENO, path: "the connection")
            return
        }
    }
}
