import BasculeModel
import Foundation

/// The way from the old world to this fleet.
package struct Migration: Sendable, Equatable {
    package enum FinalBackup: String, Sendable, Hashable, CaseIterable { case parallel, before, off }
    package enum Drill: String, Sendable, Hashable, CaseIterable { case required, waived }
    package enum Approval: String, Sendable, Hashable, CaseIterable { case manual, auto }

    package var edge: Edge?
    package var sources: [SourceName: Source] = [:]
    package var dns: DNSSwitch?
    package var window: Window?
    package var rollback = RollbackPolicy()
    /// Default parallel.
    package var finalBackup = FinalBackup.parallel
    /// Whether the copy waits for backups that were restored once. Default required.
    package var drill = Drill.required
    /// The go/no-go. Default manual.
    package var approve = Approval.manual
    package var customers: Customers?
    /// Default 24 h.
    package var testAlert: Duration = .seconds(86_400)
    package init() {}
}

/// Who shows the old world's maintenance page and later proxies to the active side.
package enum Edge: Sendable, Equatable {
    case node(EdgeNode)
    case hooks(EdgeHooks)
}

/// An old front server that Bascule may configure.
package struct EdgeNode: Sendable, Equatable {
    package var node: NodeName = ""
    /// Where it proxies to today, `HOST:PORT`; what a rollback restores.
    package var upstream: String?
    /// The certificate chain that it serves the domains with, a path on it; nil for plain HTTP.
    package var certificate: String?
    /// The certificate's private key, a path on it.
    package var certificateKey: String?
    package init() {}
}

/// Commands, run on the controller, for an old edge that Bascule cannot configure.
package struct EdgeHooks: Sendable, Equatable {
    package var maintenance = Command([])
    package var restore = Command([])
    /// Sends traffic to the new side; the new address is its last argument.
    package var proxy: Command?
    package init() {}
}

/// One source of data.
package enum Source: Sendable, Equatable {
    case postgres(PostgresSource)
    case redis(RedisSource)
    case mysql(MySQLSource)
    case files(FilesSource)
}

/// A PostgreSQL database to copy from.
package struct PostgresSource: Sendable, Equatable {
    /// The secret holding its URL.
    package var url: SecretName = ""
    package var into: DatabaseName = ""
    /// Default public.
    package var schemas = ["public"]
    /// Tables whose rows are left behind, `schema.table`.
    package var exclude: [String] = []
    /// Tables copied at once. Default 2.
    package var jobs = 2
    /// The secret holding a URL of a role that may revoke rights; without it the fence uses `url`.
    package var fence: SecretName?
    /// Codes of findings that would refuse the copy and then only warn.
    package var accept: [String] = []
    /// Whether the source is followed between its copy and the freeze. Default auto.
    package var follow = Follow.auto
    /// WAL that a slot may keep at the source, in bytes, before following is given up. Default 8 GiB.
    package var walCap = ByteSize.gibibytes(8)
    package init() {}

    /// auto: where the source allows it; always: a source that does not is refused; never: changed tables are copied again.
    package enum Follow: String, Sendable, Hashable, CaseIterable { case auto, always, never }
}

/// A Redis database to copy from.
package struct RedisSource: Sendable, Equatable {
    package var url: SecretName = ""
    package var into = RedisPurpose.cache
    /// A glob of the keys to copy. Default `*`.
    package var keys = "*"
    /// Commands a second that the source is asked at most; nil for no limit.
    package var rate: Int?
    /// Codes of findings that would refuse the copy and then only warn.
    package var accept: [RedisFindingCode] = []
    package init() {}
}

/// A MySQL or MariaDB database to copy from.
package struct MySQLSource: Sendable, Equatable {
    package var url: SecretName = ""
    package var into: DatabaseName = ""
    /// The schema that the tables go to; without it `public`, or the source's name where a PostgreSQL source fills the
    /// same database.
    package var schema: String?
    /// Tables left behind.
    package var exclude: [String] = []
    /// Words by MySQL type or by `table.column`.
    package var rules: [String: String] = [:]
    /// Codes of findings that would refuse the move.
    package var accept: [String] = []
    package var users: MySQLUserTable?
    /// Rows of each table that are shown side by side. Default 3.
    package var spotChecks = 3
    /// The secret holding a URL of an account that may change others' rights; without it the fence uses `url`.
    package var fence: SecretName?
    package init() {}
}

/// Where a MySQL source keeps the app's users.
package struct MySQLUserTable: Sendable, Equatable {
    package var table = ""
    package var email = ""
    package var password: String?
    package var metadata: String?
    package init() {}
}

/// A folder on another machine, fetched by rsync over SSH from the node.
package struct FilesSource: Sendable, Equatable {
    package var user = ""
    package var host = ""
    /// Absolute.
    package var path = ""
    package var hostKey: HostKey?
    /// The secret holding a private key for the login; without it, an agent on the node must have one.
    package var key: SecretName?
    /// Absolute folder on the nodes with the role `app`.
    package var to = ""
    package var exclude: [String] = []
    package var owner: String?
    /// KiB a second at most; nil for no limit.
    package var rate: Int?
    /// Columns of databases on the nodes that name these files.
    package var references: [FileReference] = []
    package init() {}
}

/// A column whose values name files of a source.
package struct FileReference: Sendable, Equatable {
    package var database: DatabaseName = ""
    /// `table.column` or `schema.table.column`.
    package var column = ""
    /// What stands before the path in the values.
    package var prefix = ""
    package init() {}
}

/// How names move to the new side.
package struct DNSSwitch: Sendable, Equatable {
    package var zone = ""
    package var server = NameServer()
    /// What each name points to after the switch.
    package var records: [String: AddressRecords] = [:]
    /// Lowered to this before the switch. Default 300 s.
    package var ttl: Duration = .seconds(300)
    package init() {}
}

/// The addresses of one name.
package struct AddressRecords: Sendable, Equatable {
    package var a: AddressTarget?
    package var aaaa: AddressTarget?
    package init() {}
}

/// A node, whose public address is meant, or an address.
package enum AddressTarget: Sendable, Equatable {
    case node(NodeName)
    case address(String)
}

/// When the migration may have its outage.
package struct Window: Sendable, Equatable {
    /// Without it: whenever it is applied.
    package var start: Date?
    /// Default 30 min.
    package var length: Duration = .seconds(1800)
    package init() {}
}

/// When to go back, and what it may cost.
package struct RollbackPolicy: Sendable, Equatable {
    package enum NewWrites: String, Sendable, Hashable, CaseIterable { case reverse, journal, loss }
    /// A migration whose rollback takes longer does not start. Default 5 min.
    package var budget: Duration = .seconds(300)
    /// How long the criteria are watched after T0. Default 30 min.
    package var watch: Duration = .seconds(1800)
    /// What the conducting agent does when nobody answers. Default rollback.
    package var ifAlone = IfAlone.rollback
    package var when = RollbackCriteria()
    /// Fewer distinct users than this decide nothing. Default 20.
    package var minimumUsers = 20
    /// What becomes of writes taken after T0 if it goes back; without it the operator is asked.
    package var newWrites: NewWrites?
    package init() {}
}

/// The declared criteria; one without a threshold is not watched.
package struct RollbackCriteria: Sendable, Equatable {
    package var usersUnableToLogIn: Threshold?
    package var serverErrors: Threshold?
    package var dataLoss: Threshold?
    package var journeysFailed: Threshold?
    package init() {}
}

/// Whom to tell, and how, before the outage and after it.
package struct Customers: Sendable, Equatable {
    /// How long before the window they are told. Default 48 h.
    package var notice: Duration = .seconds(172_800)
    package var from: String?
    /// The database holding them.
    package var database: DatabaseName?
    /// Selects one column of mail addresses.
    package var query: String?
    /// A template file, relative to the fleet's folder.
    package var message: String?
    package init() {}
}
