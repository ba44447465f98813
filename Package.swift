// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours treats warnings as errors; dependencies are left alone.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func target(_ name: String, _ path: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: strict)
}

func tests(_ name: String, _ path: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: path, resources: resources, swiftSettings: strict)
}

let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let shared: [Target] = [
    target("BasculeModel", "Sources/Shared/Model"),
    target("BasculeExecution", "Sources/Shared/Execution", ["BasculeModel"]),
    target("BasculeProtocol", "Sources/Shared/Protocol", ["BasculeModel"]),
    .systemLibrary(name: "CSodium", path: "Sources/Shared/CSodium", providers: [.apt(["libsodium-dev"])]),
    .target(
        name: "BasculeCrypto", dependencies: ["BasculeModel", "CSodium"], path: "Sources/Shared/Crypto",
        swiftSettings: strict, linkerSettings: [.linkedLibrary(":libsodium.a")]),
    .target(name: "CPostgres", path: "Sources/Shared/CPostgres", linkerSettings: [.linkedLibrary("dl")]),
    target("BasculePostgres", "Sources/Shared/Postgres", ["BasculeModel", "CPostgres"]),
    target("BasculeNet", "Sources/Shared/Net", ["BasculeModel"]),
    .target(name: "CMySQL", path: "Sources/Shared/CMySQL", linkerSettings: [.linkedLibrary("dl")]),
    target("BasculeMySQL", "Sources/Shared/MySQL", ["BasculeModel", "CMySQL"]),
]

let controller: [Target] = [
    .systemLibrary(name: "CLibSSH2", path: "Sources/Controller/CLibSSH2", providers: [.apt(["libssh2-1-dev"])]),
    target("BasculeFleet", "Sources/Controller/Fleet", ["BasculeModel", yams]),
    .target(
        name: "BasculeCatalogue", dependencies: ["BasculeModel", "BasculeFleet", mustache],
        path: "Sources/Controller/Catalogue", resources: [.embedInCode("Templates")], swiftSettings: strict),
    target(
        "BasculePlanning", "Sources/Controller/Planning",
        ["BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculeCrypto"]),
    target("BasculeStore", "Sources/Controller/Store", ["BasculeModel", "BasculeCrypto", grdb]),
    target("BasculeSSH", "Sources/Controller/SSH", ["BasculeModel", "CLibSSH2"]),
    target("BasculeProviders", "Sources/Controller/Providers", ["BasculeModel"]),
    target(
        "BasculeConducting", "Sources/Controller/Conducting",
        [
            "BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculePlanning", "BasculeStore", "BasculeSSH",
            "BasculeProtocol", "BasculeExecution", "BasculeProviders", "BasculeCrypto", "BasculeNet",
        ]),
    target(
        "BasculeCommands", "Sources/Controller/Commands",
        [
            "BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculePlanning", "BasculeStore", "BasculeSSH",
            "BasculeProtocol", "BasculeProviders", "BasculeConducting", "BasculeCrypto", "BasculeNet", arguments,
        ]),
    .executableTarget(
        name: "bascule", dependencies: ["BasculeCommands"], path: "Sources/Controller/Main", swiftSettings: strict),
]

let agent: [Target] = [
    target(
        "BasculeResources", "Sources/NodeAgent/Resources",
        ["BasculeModel", "BasculeCrypto", "BasculePostgres", "BasculeNet"]),
    target(
        "BasculeData", "Sources/NodeAgent/Data",
        ["BasculeModel", "BasculeCrypto", "BasculePostgres", "BasculeNet", "BasculeMySQL"]),
    .target(
        name: "BasculeAgentCore",
        dependencies: [
            "BasculeModel", "BasculeCrypto", "BasculeProtocol", "BasculeExecution", "BasculeResources", "BasculeData",
            "BasculeNet", "BasculePostgres",
        ],
        path: "Sources/NodeAgent/Core", resources: [.embedInCode("bascule-agent.service")], swiftSettings: strict),
    .executableTarget(
        name: "bascule-agent", dependencies: ["BasculeAgentCore"], path: "Sources/NodeAgent/Main", swiftSettings: strict
    ),
]

/// Belongs to test programs under the thread sanitizer (`make sanitize`) and to nothing else.
let isThreadSanitized = Context.environment["BASCULE_SANITIZE"] == "thread"
let threadSanitizer: [Target] =
    isThreadSanitized ? [.target(name: "ThreadSanitizerSupport", path: "Tests/Support/ThreadSanitizer")] : []

let suites: [Target] = [
    tests(
        "BasculeConductingTests", "Tests/Controller/Conducting",
        ["BasculeModel", "BasculeFleet", "BasculeConducting", "BasculeCrypto", "BasculeProtocol"]),
    tests("ArchitectureTests", "Tests/Shared/Architecture", ["BasculeFleet"]),
    tests("BasculeModelTests", "Tests/Shared/Model", ["BasculeModel"]),
    tests("BasculeNetTests", "Tests/Shared/Net", ["BasculeModel", "BasculeNet"]),
    tests("BasculePostgresTests", "Tests/Shared/Postgres", ["BasculeModel", "BasculePostgres"]),
    tests("BasculeFleetTests", "Tests/Controller/Fleet", ["BasculeModel", "BasculeFleet"]),
    tests(
        "BasculeCatalogueTests", "Tests/Controller/Catalogue",
        ["BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculeCrypto"]),
    tests("BasculeProvidersTests", "Tests/Controller/Providers", ["BasculeModel", "BasculeProviders"]),
    tests("BasculeSSHTests", "Tests/Controller/SSH", ["BasculeModel", "BasculeSSH"]),
    tests(
        "BasculeDataPostgresTests", "Tests/NodeAgent/DataPostgres",
        ["BasculeModel", "BasculeData", "BasculePostgres", "BasculeTesting"]),
    tests("BasculeDataRedisTests", "Tests/NodeAgent/DataRedis", ["BasculeModel", "BasculeData", "BasculeNet"]),
    tests(
        "BasculeDataMySQLTests", "Tests/NodeAgent/DataMySQL",
        ["BasculeModel", "BasculeData", "BasculePostgres", "BasculeMySQL", "BasculeTesting"]),
    tests("BasculeDataFilesTests", "Tests/NodeAgent/DataFiles", ["BasculeModel", "BasculeData"]),
    target("BasculeTesting", "Tests/Support/Listening", ["BasculeModel"]),
    tests(
        "BasculeResourcesTests", "Tests/NodeAgent/Resources",
        ["BasculeModel", "BasculeCrypto", "BasculeResources", "BasculeTesting"]),
    tests("BasculeExecutionTests", "Tests/Shared/Execution", ["BasculeModel", "BasculeExecution"]),
    tests("BasculeProtocolTests", "Tests/Shared/Protocol", ["BasculeModel", "BasculeProtocol"]),
    tests("BasculeCryptoTests", "Tests/Shared/Crypto", ["BasculeModel", "BasculeCrypto"]),
    tests(
        "IntegrationTests", "Tests/Integration",
        ["BasculeModel", "BasculeProtocol", "BasculeProviders", "BasculeStore"]),
    tests(
        "BasculeAgentCoreTests", "Tests/NodeAgent/Core",
        [
            "BasculeModel", "BasculeCrypto", "BasculeProtocol", "BasculeExecution", "BasculeResources", "BasculeData",
            "BasculeAgentCore",
        ]),
    tests("BasculeStoreTests", "Tests/Controller/Store", ["BasculeModel", "BasculeCrypto", "BasculeStore"]),
    tests(
        "BasculePlanningTests", "Tests/Controller/Planning",
        ["BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculePlanning", "BasculeCrypto"]),
    tests(
        "FuzzCorpusTests", "Tests/Fuzz/Suite",
        ["BasculeFuzzTargets"] + (isThreadSanitized ? ["ThreadSanitizerSupport"] : [])),
    tests(
        "BasculeCommandsTests", "Tests/Controller/Commands",
        [
            "BasculeModel", "BasculeFleet", "BasculeCatalogue", "BasculeStore", "BasculeConducting", "BasculeNet",
            "BasculeCommands", "BasculeTesting", yams,
        ]),
]

/// Fuzzing instruments everything that it links, so its program exists only when it is asked for (`make fuzz`), and
/// then without the suites.
let fuzzing: [Target] = [
    .executableTarget(
        name: "bascule-fuzz", dependencies: ["BasculeFuzzTargets"], path: "Tests/Fuzz/Main", swiftSettings: strict)
]
let fuzzTargets = target(
    "BasculeFuzzTargets", "Tests/Fuzz/Targets",
    [
        "BasculeModel", "BasculeProtocol", "BasculeNet", "BasculeFleet", "BasculeCatalogue", "BasculeResources",
        "BasculeData", "BasculeAgentCore", "BasculeCommands", "BasculeSSH", "BasculeCrypto", "BasculePostgres",
    ])
let isFuzzing = Context.environment["BASCULE_FUZZING"] != nil

let package = Package(
    name: "bascule",
    products: [
        .executable(name: "bascule", targets: ["bascule"]),
        .executable(name: "bascule-agent", targets: ["bascule-agent"]),
    ],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: shared + controller + agent + [fuzzTargets] + threadSanitizer + (isFuzzing ? fuzzing : suites)
)
