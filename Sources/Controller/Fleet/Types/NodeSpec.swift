import BasculeModel

/// Where a node comes from.
package enum NodeSpec: Sendable, Equatable {
    /// A machine that exists and is reached by SSH.
    case existing(ExistingNode)
    /// A throwaway node on this machine.
    case lab(LabNode)

    /// Its memory, where the fleet file says it.
    package var memory: ByteSize? {
        get {
            switch self {
            case .existing(let node): node.memory
            case .lab(let node): node.memory
            }
        }
        set {
            switch self {
            case .existing(var node):
                node.memory = newValue
                self = .existing(node)
            case .lab(var node):
                node.memory = newValue
                self = .lab(node)
            }
        }
    }
}

/// A machine that the administrator already has.
package struct ExistingNode: Sendable, Equatable {
    /// IPv4, IPv6 or host name.
    package var address = ""
    /// SSH port. Default 22.
    package var port = 22
    /// The administrator's login, used only by the bootstrap. Default root.
    package var user = "root"
    /// The administrator's private key file; a leading `~/` is not yet expanded. Without it: ssh-agent.
    package var key: String?
    /// The expected host key; without it the first contact asks.
    package var hostKey: HostKey?
    /// What the services are sized for; the machine's own if absent.
    package var memory: ByteSize?
    package init() {}
}

/// An SSH host key in the form of `known_hosts`: type and base64.
package struct HostKey: Sendable, Hashable {
    package var type: String
    package var base64: String
    package init(type: String, base64: String) { (self.type, self.base64) = (type, base64) }
    /// `ssh-ed25519 AAAA…`
    package var text: String { "\(type) \(base64)" }
}

/// A throwaway node (systemd-nspawn).
package struct LabNode: Sendable, Equatable {
    package enum Image: String, Sendable, Hashable, CaseIterable { case debian12, debian13 }
    package var image = Image.debian12
    /// A size limit of its disk (a loop file); without it the node shares the host's file system.
    package var disk: ByteSize?
    /// What the services are sized for; the host's if absent.
    package var memory: ByteSize?
    package init() {}
}

extension ExistingNode: Declared {
    static var about: String { "A machine that exists and is reached by SSH" }
    static var fields: [Field<ExistingNode>] {
        [
            .key("address", \.address, .host, required: true, "IPv4, IPv6 or host name"),
            .key("port", \.port, .port, "SSH port"),
            .key("user", \.user, .name(.account), "The administrator's login, used only by the bootstrap"),
            .key("key", \.key, .keyFile, "Private key file of that login; ssh-agent if absent"),
            .key("hostKey", \.hostKey, .hostKey, "The host key expected; if absent, the first contact asks"),
            .key("memory", \.memory, .size, "What its services are sized for and must fit into; what it has if absent"),
        ]
    }
}

extension LabNode: Declared {
    static var about: String { "A throwaway node on this machine" }
    static var fields: [Field<LabNode>] {
        [
            .constant("provider", "lab", "Where the node comes from"),
            .key("image", \.image, .choice(), "The system on it"),
            .key("disk", \.disk, .size, "Size of its disk; the host's if absent"),
            .key("memory", \.memory, .size, "What its services are sized for and must fit into; the host's if absent"),
        ]
    }
}

extension Codec where Value == NodeSpec {
    static var node: Codec {
        .variant(
            "a mapping with 'address' or 'provider'",
            [
                Variant("address", ExistingNode.self) { .existing($0) },
                Variant("provider", LabNode.self) { .lab($0) },
            ])
    }
}
