/// Which module may import which. Modules stand below those that they may import, so no arrow can point back.
struct Layer: Sendable {
    /// As the compiler calls it.
    let module: String
    /// Folder from the package's root, without a slash at the end.
    let folder: String
    /// Modules of ours that it may import.
    let ours: Set<String>
    /// Other people's modules that it alone, or one of few, may import.
    let others: Set<String>

    init(_ module: String, _ folder: String, _ ours: Set<String> = [], others: Set<String> = []) {
        (self.module, self.folder, self.ours, self.others) = (module, folder, ours, others)
    }

    /// Whether all of Foundation is allowed: the agent pays for it with 40 MB, so only the controller has it.
    var mayUseFoundation: Bool { folder.hasPrefix("Sources/Controller/") }

    /// What every module may import beside the standard library.
    static let system: Set<String> = ["Glibc", "Synchronization", "Dispatch", "FoundationEssentials"]

    /// The directions of docs/architecture.md.
    static let all: [Layer] = [
        Layer("BasculeModel", "Sources/Shared/Model"),
        Layer("CSodium", "Sources/Shared/CSodium"),
        Layer("CPostgres", "Sources/Shared/CPostgres"),
        Layer("BasculeExecution", "Sources/Shared/Execution", ["BasculeModel"]),
        Layer("BasculeProtocol", "Sources/Shared/Protocol", ["BasculeModel"]),
        Layer("BasculeCrypto", "Sources/Shared/Crypto", ["BasculeModel", "CSodium"]),
        Layer("BasculePostgres", "Sources/Shared/Postgres", ["BasculeModel", "CPostgres"]),
        Layer("BasculeNet", "Sources/Shared/Net", ["BasculeModel"]),
        Layer("CMySQL", "Sources/Shared/CMySQL"),
        Layer("BasculeMySQL", "Sources/Shared/MySQL", ["BasculeModel", "CMySQL"]),

        Layer("CLibSSH2", "Sources/Controller/CLibSSH2"),
        Layer("BasculeFleet", "Sources/Controller/Fleet", ["BasculeModel"], others: ["Yams", "CYaml"]),
        Layer(
            "BasculeCatalogue", "Sources/Controller/Catalogue", ["BasculeModel", "BasculeFleet"], others: ["Mustache"]),
        Layer(
            "BasculePlanning", "Sources/Controller/Planning",
            ["BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculeCrypto"]),
        Layer("BasculeStore", "Sources/Controller/Store", ["BasculeModel", "BasculeCrypto"], others: ["GRDB"]),
        Layer("BasculeSSH", "Sources/Controller/SSH", ["BasculeModel", "CLibSSH2"]),
        Layer("BasculeProviders", "Sources/Controller/Providers", ["BasculeModel"]),
        Layer("BasculeConducting", "Sources/Controller/Conducting", belowConducting),
        Layer(
            "BasculeCommands", "Sources/Controller/Commands", belowConducting.union(["BasculeConducting"]),
            others: ["ArgumentParser"]),
        Layer("bascule", "Sources/Controller/Main", ["BasculeCommands"]),

        Layer(
            "BasculeResources", "Sources/NodeAgent/Resources",
            ["BasculeModel", "BasculeCrypto", "BasculePostgres", "BasculeNet"]),
        Layer(
            "BasculeData", "Sources/NodeAgent/Data",
            ["BasculeModel", "BasculeCrypto", "BasculePostgres", "BasculeNet", "BasculeMySQL"]),
        Layer(
            "BasculeAgentCore", "Sources/NodeAgent/Core",
            [
                "BasculeModel", "BasculeCrypto", "BasculeProtocol", "BasculeExecution", "BasculeResources",
                "BasculeData", "BasculeNet", "BasculePostgres",
            ]),
        Layer("bascule_agent", "Sources/NodeAgent/Main", ["BasculeAgentCore"]),
    ]

    private static let belowConducting: Set<String> = [
        "BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculePlanning", "BasculeStore", "BasculeSSH",
        "BasculeProtocol", "BasculeExecution", "BasculeProviders", "BasculeCrypto", "BasculeNet",
    ]
}
