import BasculeModel
import Testing

@testable import BasculeResources

@Suite struct PoolBenchTests {
    /// pgbench 15's own report, shortened.
    private let report = """
        pgbench (15.14 (Debian 15.14-0+deb12u1))
        transaction type: <builtin: select only>
        number of transactions actually processed: 5012
        latency average = 3.193 ms
        initial connection time = 41.2 ms
        tps = 5010.421 (without initial connection time)
        """

    @Test func figuresAreReadFromTheReport() {
        #expect(PoolBench.number(after: "tps = ", in: report) == 5010.421)
        #expect(PoolBench.number(after: "latency average = ", in: report) == 3.193)
        #expect(PoolBench.number(after: "tps = ", in: "pgbench: error: connection failed") == nil)
    }

    @Test func onlySettingsThatCountAreTaken() {
        let found = PoolBench.settings(
            in: """
                ; pool_mode = statement
                [pgbouncer]
                listen_port = 6432
                auth_file = /etc/pgbouncer/userlist.txt
                pool_mode = transaction
                default_pool_size=10
                server_reset_query = DISCARD ALL
                [databases]
                max_client_conn = host=127.0.0.1
                """)
        #expect(found == ["pool_mode": "transaction", "default_pool_size": "10", "server_reset_query": "DISCARD ALL"])
    }

    @Test(arguments: [
        PoolTrial(server: PostgresServer(), clients: [], seconds: 5, rounds: 1, scale: 1, writes: false),
        PoolTrial(server: PostgresServer(), clients: [0], seconds: 5, rounds: 1, scale: 1, writes: false),
        PoolTrial(server: PostgresServer(), clients: [1], seconds: 601, rounds: 1, scale: 1, writes: false),
        PoolTrial(server: PostgresServer(), clients: [1], seconds: 5, rounds: 1, scale: .max, writes: false),
    ])
    func whatIsOutOfBoundsIsRefused(trial: PoolTrial) {
        let error = #expect(throws: BasculeError.self) { try PoolComparison(trial) { _, _ in } }
        #expect(error?.code == .invalidInput)
    }
}
