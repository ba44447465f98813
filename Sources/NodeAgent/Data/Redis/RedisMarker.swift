import BasculeModel

/// What the target itself remembers about a move, in one hash beside the data: it lives and dies with them, so a
/// wiped or exchanged instance can never be taken for one that this move filled.
struct RedisMarker: Equatable {
    /// The move, see `RedisSession.identity`.
    var move: String
    /// Whether everything of the pattern belongs to the move, so that the sync may delete.
    var exclusive: Bool
    /// Where the copy goes on: the cursor of the next page, nil once the copy is complete.
    var cursor: [UInt8]?
    /// The source's process: a cursor means nothing to another one.
    var sourceRun: String

    static func read(_ server: RedisServer) throws -> RedisMarker? {
        let reply = try server.connection.call(RedisCommand("HGETALL").with(RedisInternal.marker))
        guard let map = reply.map, let move = map["move"]?.text else { return nil }
        return RedisMarker(
            move: move, exclusive: map["exclusive"]?.text == "1", cursor: map["cursor"]?.bytes,
            sourceRun: map["source-run"]?.text ?? "")
    }

    func write(_ server: RedisServer) throws {
        let fields = RedisCommand("HSET").with(RedisInternal.marker)
            .with(words: "move", move, "exclusive", exclusive ? "1" : "0", "source-run", sourceRun)
        try server.connection.call(cursor.map { fields.with(words: "cursor").with($0) } ?? fields)
        if cursor == nil {
            try server.connection.call(RedisCommand("HDEL").with(RedisInternal.marker).with(words: "cursor"))
        }
    }

    static func remove(_ server: RedisServer) throws {
        try server.connection.call(RedisCommand("UNLINK").with(RedisInternal.marker))
    }
}
