import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculePlanning
import BasculeStore
import Foundation

/// `bascule data`
struct DataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Check, copy, verify or compare the sources of data, without the rest of a migration.",
        discussion: """
            Works on what stands under migration.sources of the fleet file, through the
            agent of the node that it goes to. A fleet file of a node, services.postgresql
            (or redis) and migration.sources is enough; bascule apply --through install
            makes the databases. Sources: PostgreSQL 12 and later, MySQL and MariaDB,
            Redis, files.

            Each ends with 0 (nothing refuses, copied and proved, equal), 2 (a finding
            refuses, something differs) or 1 (it could not be found out).

            Examples:
              bascule data check          what would stand in the way; changes nothing
              bascule data copy database  copy one source, and prove the copy
              bascule data copy --catch-up
                  copy again what has changed at the source since
              bascule data verify --json  both sides read and compared, for machines
              bascule data rehearse legacy
                  a MySQL source: all of a copy, compared, and taken back
              bascule data diff orders  the rows in which the table differs, side by side
              bascule data forget
                  the move is given up: nothing of it stays at the sources
            """,
        subcommands: [Check.self, Copy.self, Verify.self, Diff.self, Rehearse.self, Forget.self])

    /// What the four have in common.
    struct Common: ParsableArguments {
        @OptionGroup var options: FleetOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var contact: ContactOptions

        func run(_ verb: DataVerb, sources: [String]) async throws {
            let session = try options.session()
            let lease = try StoreLease(beside: session.store.path)
            defer { withExtendedLifetime(lease) {} }
            let view = DataView(json: output.json)
            let runner = Runner(session: session, contact: contact.contact(), observer: view.observer)
            if verb.changes { _ = try await runner.settle() }
            let planned = try await PlanMaker(session: session).makeData(verb, sources: sources)
            try session.store.save(planned.plan)
            let report: RunReport
            do { report = try await runner.run(planned, handsOver: false) } catch {
                view.finish()
                await session.close()
                throw error
            }
            await session.close()
            view.finish()
            let verdict = try view.show(planned.plan, report)
            if verdict.status != 0 { throw ExitStatus(code: verdict.status) }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Look at both sides and name what would not survive. Changes nothing.",
            discussion: "Example: bascule data check database")
        @OptionGroup var common: Common
        @Argument(help: "Sources by name; all if none is given.") var sources: [String] = []
        func run() async throws { try await common.run(.check, sources: sources) }
    }

    struct Copy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy from one snapshot while the source serves, and prove that the copy is equal.",
            discussion: """
                Cut at any moment it goes on where it was, in the middle of a table too, when
                it is run again.
                Examples:
                  bascule data copy
                  bascule data copy database --catch-up
                """)
        @OptionGroup var common: Common
        @Argument(help: "Sources by name; all if none is given.") var sources: [String] = []
        @Flag(help: "After a finished copy: copy again what has changed at the source since.") var catchUp = false
        func run() async throws { try await common.run(catchUp ? .catchUp : .copy, sources: sources) }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read both sides and compare every row, key or file. Changes nothing.",
            discussion: """
                A source that is being written to differs by what was written since the copy.
                Example: bascule data verify database uploads
                """)
        @OptionGroup var common: Common
        @Argument(help: "Sources by name; all if none is given.") var sources: [String] = []
        func run() async throws { try await common.run(.verify, sources: sources) }
    }

    struct Rehearse: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Convert a MySQL source with all its data, compare it, and take it all back.",
            discussion: """
                One transaction of the target that is rolled back: nothing is left, whatever
                happens.
                Example: bascule data rehearse legacy
                """)
        @OptionGroup var common: Common
        @Argument(help: "MySQL sources by name; all if none is given.") var sources: [String] = []
        func run() async throws { try await common.run(.rehearse, sources: sources) }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a move up for good: remove all that it made at the sources and its marks at the targets.",
            discussion: """
                Following ends; replication slots, publications, subscriptions, temporary
                roles and the movers' tables go, on both sides, and the sources' credentials
                leave the node where no source is named. What was copied stays. Run it before
                the migration leaves the fleet file. Before T0 only: after it, bascule apply
                finishes the migration or bascule rollback goes back. A PostgreSQL source that
                cannot be reached is an error, as its slots would keep WAL; one that is gone
                for good is passed over with follow: never.
                Example: bascule data forget database
                """)
        @OptionGroup var common: Common
        @Argument(help: "Sources by name; all if none is given.") var sources: [String] = []
        func run() async throws { try await common.run(.forget, sources: sources) }
    }

    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the rows in which one table differs, both sides' values with them. Changes nothing.",
            discussion: """
                Examples:
                  bascule data diff orders
                  bascule data diff audit.events --source database --limit 100
                """)
        @OptionGroup var common: Common
        @Argument(help: "The table, as schema.table or its name alone.") var table: String
        @Option(help: "The source, where there are several.") var source: String?
        @Option(help: "Rows shown at most.") var limit = 20

        func validate() throws {
            guard (1...10_000).contains(limit) else { throw ValidationError("--limit takes 1 to 10000") }
        }
        func run() async throws {
            try await common.run(.diff(table: table, limit: limit), sources: source.map { [$0] } ?? [])
        }
    }
}
