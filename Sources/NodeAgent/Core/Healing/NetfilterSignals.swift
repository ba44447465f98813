import Glibc

/// Hears from the kernel that somebody changed the packet filter (NETLINK_NETFILTER, group NFNLGRP_NFTABLES).
final class NetfilterSignals {
    let descriptor: Int32

    /// nil where the kernel offers none.
    init?() {
        // Numbers from linux/netlink.h and linux/netfilter/nfnetlink.h: family 12, group 7 as a bit.
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | O_NONBLOCK, 12)
        guard descriptor >= 0 else { return nil }
        // struct sockaddr_nl: family (2 bytes), padding (2), port (4), groups (4), in the machine's own order.
        var address: (UInt16, UInt16, UInt32, UInt32) = (UInt16(AF_NETLINK), 0, 0, 1 << 6)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 12) }
        }
        guard bound == 0 else {
            close(descriptor)
            return nil
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Takes all that arrived; says whether anything did. What was lost for want of room counts too.
    func hasNews() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 8192)
        var any = false
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 || (count < 0 && errno == ENOBUFS) {
                any = true
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return any
            }
        }
    }
}
