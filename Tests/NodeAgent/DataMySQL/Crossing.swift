import BasculeData
import BasculeModel
import BasculeMySQL
import BasculePostgres

/// A MySQL database and the PostgreSQL database that it moves to, both new.
struct Crossing {
    let name: String
    let source: MariaServer
    let target: PostgresServer
    var move: MySQLMove

    init(_ name: String, _ script: String, target sql: String = "", rules: [String: String] = [:]) throws {
        self.name = name
        source = try Servers.source.get()
        target = try Servers.target.get()
        let admin = try target.connect("postgres")
        try admin.query("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
        try admin.query("CREATE DATABASE \(name) OWNER shop")
        let root = try source.connect()
        try root.query("DROP DATABASE IF EXISTS \(name)")
        try root.query("CREATE DATABASE \(name)")
        try source.script(name, script)
        move = MySQLMove(
            name: "legacy", source: "SOURCE", targetDatabase: name, targetSocket: target.socket,
            targetPort: target.port, owner: "shop", rules: rules)
        if !sql.isEmpty { try target.connect(name).script(sql) }
    }

    @discardableResult
    func run(_ verb: MySQLTask.Verb, _ fence: MySQLFence? = nil) throws -> MySQLReport {
        try MySQLMover.run(MySQLTask(verb, move, fence: fence), resolve: { _ in source.url(name) })
    }

    /// What a refused task says.
    func refusal(_ verb: MySQLTask.Verb) -> BasculeError? {
        do {
            _ = try run(verb)
            return nil
        } catch { return error as? BasculeError }
    }

    func rows(_ sql: String) throws -> [[String?]] { try target.connect(name).query(sql).rows }
    func scalar(_ sql: String) throws -> String? { try rows(sql).first?.first ?? nil }
}
