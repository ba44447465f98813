import BasculeFleet
import BasculeModel

/// Turns a fleet into the resources of its nodes. Pure but for the templates and uploads that it reads.
package enum Catalogue {
    /// The resources of every node of the active topology (and of nodes that `resources:` names outright).
    /// - Throws: `BasculeError` at the place in the fleet file where `context.positions` knows it.
    package static func compile(_ context: CompileContext) throws -> Compiled {
        var compilation = Compilation(context)
        try compilation.checkPlacement()
        try compilation.placePostgreSQL()
        try compilation.placePgBouncer()
        try compilation.placeRedis()
        try compilation.placeMail()
        // What binds comes before what is bound: bindings from other nodes open ports there.
        try compilation.placeApps()
        try compilation.placeCustomResources()
        try compilation.placeNginx()
        try compilation.placeCaddy()
        try compilation.finishDataServices()
        try compilation.finishMail()
        try compilation.placeMigrationTools()
        try compilation.placeBackup()
        try compilation.placeMonitoring()
        try compilation.placeSystem()
        try compilation.placeFirewalls()
        compilation.placeBudgets()
        return compilation.finish()
    }
}
