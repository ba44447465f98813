/// The user's own settings, sorted into what a reload takes up and what needs a restart.
enum PostgreSQLSettings {
    /// Settings of context `postmaster` in PostgreSQL 15 (`postgres --describe-config`), and those that 16 to 18 added.
    static let restartOnly: Set<String> = [
        "archive_mode", "autovacuum_freeze_max_age", "autovacuum_max_workers", "autovacuum_multixact_freeze_max_age",
        "bonjour", "bonjour_name", "cluster_name", "data_directory", "data_sync_retry", "dynamic_shared_memory_type",
        "event_source", "external_pid_file", "hba_file", "hot_standby", "huge_page_size", "huge_pages", "ident_file",
        "jit_provider", "listen_addresses", "logging_collector", "max_connections", "max_files_per_process",
        "max_locks_per_transaction", "max_logical_replication_workers", "max_pred_locks_per_transaction",
        "max_prepared_transactions", "max_replication_slots", "max_wal_senders", "max_worker_processes",
        "min_dynamic_shared_memory", "old_snapshot_threshold", "port", "recovery_target", "recovery_target_action",
        "recovery_target_inclusive", "recovery_target_lsn", "recovery_target_name", "recovery_target_time",
        "recovery_target_timeline", "recovery_target_xid", "shared_buffers", "shared_memory_type",
        "shared_preload_libraries", "superuser_reserved_connections", "track_activity_query_size",
        "track_commit_timestamp", "unix_socket_directories", "unix_socket_group", "unix_socket_permissions",
        "wal_buffers", "wal_decode_buffer_size", "wal_level", "wal_log_hints",
        "autovacuum_worker_slots", "config_file", "commit_timestamp_buffers", "io_max_combine_limit",
        "io_max_concurrency",
        "io_method",
        "max_active_replication_origins", "max_notify_queue_pages", "multixact_member_buffers",
        "multixact_offset_buffers", "debug_io_direct", "ignore_invalid_pages", "trace_connection_negotiation",
        "notify_buffers", "reserved_connections", "serializable_buffers",
        "subtransaction_buffers", "transaction_buffers",
    ]

    /// Lines for a template, by name; the first says so.
    static func lines(_ settings: [String: String], restart: Bool) -> Variable {
        let chosen = settings.filter { restartOnly.contains($0.key.lowercased()) == restart }.sorted { $0.key < $1.key }
        return .list(
            chosen.enumerated().map { index, pair in
                .map(["first": .flag(index == 0), "name": .text(pair.key), "value": .text(quoted(pair.value))])
            })
    }

    /// Quoted as postgresql.conf wants it (manual 20.1.2): every value may be, whatever its type.
    private static func quoted(_ value: String) -> String {
        "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "''") + "'"
    }
}
