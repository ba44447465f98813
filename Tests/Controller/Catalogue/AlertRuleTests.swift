import BasculeFleet
import BasculeModel
import Foundation
import Testing

@testable import BasculeCatalogue

private let promtool = "/usr/bin/promtool"

/// The rules as they stand on a node, read and run by Prometheus's own tool.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool), "needs promtool"))
struct AlertRuleTests {
    private let folder: CatalogueFolder
    private let rules: [String]

    init() throws {
        folder = try CatalogueFolder()
        let compiled = try folder.compile(MonitoringTests.wholeFleet)
        let path = folder.path
        rules = try (compiled.resources["vps1"] ?? []).compactMap { item in
            guard case .file(let spec) = item.resource, spec.path.contains("/prometheus/rules/") else { return nil }
            let file = path + "/" + (spec.path as NSString).lastPathComponent
            try Data(spec.content.display.utf8).write(to: URL(fileURLWithPath: file))
            return file
        }
    }

    @Test func promtoolAcceptsEveryRule() throws {
        #expect(rules.count >= 12)
        let verdict = try run([promtool, "check", "rules"] + rules)
        #expect(verdict.status == 0, "\(verdict.output)")
    }

    /// Every alert fires on what it is for, and is silent again when that is over.
    @Test func everyAlertFiresAndClears() throws {
        // What takes hours to fire is looked at every ten minutes.
        for (minutes, cases) in [
            1: AlertCase.all.filter { $0.fires < 300 }, 10: AlertCase.all.filter { $0.fires >= 300 },
        ] {
            let file = folder.path + "/cases-\(minutes).yml"
            try Data(Self.text(rules, cases, minutes).utf8).write(to: URL(fileURLWithPath: file))
            let verdict = try run([promtool, "test", "rules", file])
            #expect(verdict.status == 0, "\(verdict.output)")
            #expect(verdict.output.contains("SUCCESS"))
        }
    }

    @Test func everyAlertHasItsCase() throws {
        var names: Set<String> = []
        for file in rules {
            for line in try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n") {
                guard let name = line.firstRange(of: "- alert: ") else { continue }
                names.insert(String(line[name.upperBound...]))
            }
        }
        #expect(names == Set(AlertCase.all.map(\.alert)))
    }

    /// A case that expects the wrong thing fails: promtool does look.
    @Test func aWrongExpectationIsFound() throws {
        var wrong = AlertCase.all[1]
        (wrong.fires, wrong.clears) = (wrong.clears ?? 0, nil)
        let file = folder.path + "/wrong.yml"
        try Data(Self.text(rules, [wrong]).utf8).write(to: URL(fileURLWithPath: file))
        #expect(try run([promtool, "test", "rules", file]).status != 0)
    }

    private static func text(_ rules: [String], _ cases: [AlertCase], _ minutes: Int = 1) -> String {
        var text = "rule_files: [\(rules.joined(separator: ", "))]\nevaluation_interval: \(minutes)m\ntests:\n"
        for one in cases {
            let firing = "count(ALERTS{alertname=\"\(one.alert)\", alertstate=\"firing\"})"
            text += "  - interval: 1m\n    input_series:\n"
            for (series, values) in one.series { text += "      - {series: '\(series)', values: '\(values)'}\n" }
            if one.series.isEmpty { text += "      []\n" }
            text += "    promql_expr_test:\n"
            text += "      - {expr: '\(firing)', eval_time: \(one.fires)m, exp_samples: [{labels: '{}', value: 1}]}\n"
            if let clears = one.clears {
                text += "      - {expr: '\(firing)', eval_time: \(clears)m, exp_samples: []}\n"
            }
        }
        return text
    }
}

/// What makes an alert fire and what ends it, a sample a minute.
private struct AlertCase {
    var alert: String
    var series: [(String, String)]
    /// Minutes after the beginning at which it must fire, and must no longer.
    var fires: Int
    var clears: Int?

    init(_ alert: String, _ fires: Int, _ clears: Int?, _ series: (String, String)...) {
        (self.alert, self.series, self.fires, self.clears) = (alert, series, fires, clears)
    }

    static let all: [AlertCase] = watch + node + agent + data + web + apps

    private static let watch = [
        // Never ends: its silence is the alarm.
        AlertCase("Watchdog", 1, nil),
        AlertCase("ExporterDown", 5, 15, (#"up{job="redis", node="n"}"#, "0x9 1x20")),
        AlertCase(
            "MonitoringConfigurationRefused", 3, 10,
            (#"prometheus_config_last_reload_successful{job="prometheus", node="n"}"#, "0x5 1x10")),
        AlertCase("RuleFails", 3, 15, (#"prometheus_rule_evaluation_failures_total{rule_group="g"}"#, "0 0 5 5x20")),
        AlertCase(
            "NotificationsFail", 5, 20,
            (#"alertmanager_notifications_failed_total{integration="webhook", node="n"}"#, "0 0 5 5x30")),
    ]

    private static let disk = #"{node="n", mountpoint="/"}"#
    private static let node = [
        AlertCase("NodeDown", 3, 10, (#"up{job="node", node="n"}"#, "0x5 1x20")),
        AlertCase(
            "DiskFilling", 55, 70, ("node_filesystem_avail_bytes\(disk)", "350-1x59 900x400"),
            ("node_filesystem_size_bytes\(disk)", "1000x500")),
        AlertCase(
            "DiskAlmostFull", 7, 15, ("node_filesystem_avail_bytes\(disk)", "100x10 500x20"),
            ("node_filesystem_size_bytes\(disk)", "1000x40")),
        AlertCase(
            "DiskFull", 3, 15, ("node_filesystem_avail_bytes\(disk)", "20x10 500x20"),
            ("node_filesystem_size_bytes\(disk)", "1000x40")),
        AlertCase(
            "InodesLow", 7, 15, ("node_filesystem_files_free\(disk)", "5x10 50x20"),
            ("node_filesystem_files\(disk)", "100x40")),
        AlertCase(
            "MemoryLow", 7, 15, (#"node_memory_MemAvailable_bytes{node="n"}"#, "80x10 500x20"),
            (#"node_memory_MemTotal_bytes{node="n"}"#, "1000x40")),
        AlertCase(
            "MemoryExhausted", 4, 15, (#"node_memory_MemAvailable_bytes{node="n"}"#, "20x10 500x20"),
            (#"node_memory_MemTotal_bytes{node="n"}"#, "1000x40")),
        AlertCase("ProcessKilledForMemory", 4, 20, (#"node_vmstat_oom_kill{node="n"}"#, "0 0 1 1x30")),
        AlertCase("CPUBusy", 25, 50, (#"node_cpu_seconds_total{node="n", cpu="0", mode="idle"}"#, "0+1x30 31+60x40")),
        AlertCase(
            "LoadHigh", 17, 25, (#"node_load5{node="n"}"#, "5x20 0x20"),
            (#"node_cpu_seconds_total{node="n", cpu="0", mode="idle"}"#, "0x50"),
            (#"node_cpu_seconds_total{node="n", cpu="1", mode="idle"}"#, "0x50")),
        AlertCase(
            "ClockNotSynchronized", 17, 25, (#"node_timex_sync_status{node="n"}"#, "0x20 1x20"),
            (#"node_timex_maxerror_seconds{node="n"}"#, "16x50")),
        AlertCase("ClockOff", 12, 20, (#"node_timex_offset_seconds{node="n"}"#, "-0.1x15 0x20")),
        AlertCase(
            "UnitFailed", 3, 10, (#"node_systemd_unit_state{node="n", name="x.service", state="failed"}"#, "1x5 0x10")),
        AlertCase("RebootRequired", 1460, 1520, (#"bascule_reboot_required{node="n"}"#, "1x1500 0x30")),
        AlertCase(
            "ServiceDown", 3, 10,
            (#"node_systemd_unit_state{node="vps1", name="nginx.service", state="active"}"#, "0x5 1x10")),
    ]

    private static let agent = [
        AlertCase(
            "AgentSilent", 8, 13,
            (
                #"node_textfile_mtime_seconds{node="n", file="/var/lib/prometheus/node-exporter/bascule-agent.prom"}"#,
                "0x10 600+60x20"
            )),
        AlertCase("HealFailed", 5, 25, (#"bascule_agent_heal_failures_total{node="n"}"#, "0 0 1 1x30")),
        AlertCase("HealsAgainAndAgain", 15, 60, (#"bascule_agent_heals_total{node="n"}"#, "0+1x20 20x50")),
        AlertCase("DriftLeftAlone", 35, 45, (#"bascule_agent_drift{node="n"}"#, "1x40 0x10")),
        AlertCase("HealingSuspended", 125, 135, (#"bascule_agent_suspended{node="n"}"#, "1x130 0x10")),
        AlertCase("DiskUnderFloor", 2, 8, (#"bascule_agent_disk_low{node="n"}"#, "1x5 0x5")),
        AlertCase("TextMetricsUnreadable", 7, 13, (#"node_textfile_scrape_error{node="n"}"#, "1x10 0x5")),
        AlertCase(
            "TextMetricsOld", 8, 13,
            (
                #"node_textfile_mtime_seconds{node="n", file="/var/lib/prometheus/node-exporter/bascule-mail.prom"}"#,
                "0x10 600+60x20"
            )),
        AlertCase(
            "BackupTooOld", 1590, 1620,
            (#"bascule_backup_last_success_timestamp_seconds{node="n", kind="base", target="t"}"#, "0x1600 96000x30")),
        AlertCase(
            "BackupMissing", 200, 260,
            (
                #"bascule_backup_last_success_timestamp_seconds{node="vps1", kind="postgresql-verified", target="local"}"#,
                "0+60x400"
            ),
            (
                #"bascule_backup_last_success_timestamp_seconds{node="vps1", kind="postgresql", target="local"}"#,
                "_x230 13800+60x100"
            )),
        AlertCase(
            "BackupFailed", 15, 30, (#"bascule_backup_last_result{node="n", kind="k", target="t"}"#, "0x20 1x30")),
        AlertCase(
            "BackupMetricsStopped", 25, 40,
            (#"node_textfile_mtime_seconds{node="n", file="/x/bascule-backup-postgresql.prom"}"#, "0x30 1800x30")),
        AlertCase("WALNotArchived", 10, 20, (#"bascule_backup_wal_waiting_seconds{node="n"}"#, "0x3 400x10 0x20")),
        AlertCase("WALArchivingOff", 10, 20, (#"bascule_backup_wal_archiving{node="n"}"#, "0x12 1x20")),
    ]

    private static let cache = #"{node="n", instance="cache"}"#
    private static let durable = #"{node="n", instance="durable"}"#
    private static let shop = #"{node="n", datname="shop"}"#
    private static let data = [
        AlertCase("PostgreSQLDown", 3, 10, (#"pg_up{node="n"}"#, "0x5 1x10")),
        AlertCase(
            "PostgreSQLConnectionsHigh", 7, 15, (#"pg_stat_activity_count{node="n", state="active"}"#, "85x10 5x10"),
            (#"pg_settings_max_connections{node="n"}"#, "103x30"),
            (#"pg_settings_superuser_reserved_connections{node="n"}"#, "3x30")),
        AlertCase(
            "PostgreSQLConnectionsExhausted", 3, 15, (#"pg_stat_activity_count{node="n", state="idle"}"#, "97x10 5x10"),
            (#"pg_settings_max_connections{node="n"}"#, "103x30"),
            (#"pg_settings_superuser_reserved_connections{node="n"}"#, "3x30")),
        AlertCase("PostgreSQLLongTransaction", 3, 8, ("pg_stat_activity_max_tx_duration\(shop)", "700x5 0x5")),
        AlertCase("PostgreSQLDeadlocks", 5, 20, ("pg_stat_database_deadlocks\(shop)", "0 0 1 1x30")),
        AlertCase(
            "PostgreSQLRollsBack", 25, 50, ("pg_stat_database_xact_rollback\(shop)", "0+60x30 1800x30"),
            ("pg_stat_database_xact_commit\(shop)", "0+60x70")),
        AlertCase("PgBouncerDown", 3, 10, (#"pgbouncer_up{node="n"}"#, "0x5 1x10")),
        AlertCase(
            "PgBouncerClientsWait", 3, 10,
            (#"pgbouncer_pools_client_waiting_connections{node="n", database="shop"}"#, "4x5 0x10")),
        AlertCase(
            "PgBouncerClientsWaitLong", 3, 10,
            (#"pgbouncer_pools_client_maxwait_seconds{node="n", database="shop"}"#, "9x5 0x10")),
        AlertCase("RedisDown", 3, 10, ("redis_up\(cache)", "0x5 1x10")),
        AlertCase(
            "RedisMemoryHigh", 7, 15, ("redis_memory_used_bytes\(durable)", "95x10 10x10"),
            ("redis_memory_max_bytes\(durable)", "100x30")),
        AlertCase("RedisEvictsDurable", 5, 20, ("redis_evicted_keys_total\(durable)", "0 0 1 1x30")),
        AlertCase(
            "RedisHitRateLow", 60, 200, ("redis_keyspace_hits_total\(cache)", "0+60x120 7260+600x120"),
            ("redis_keyspace_misses_total\(cache)", "0+60x120 7200x120")),
        AlertCase("RedisDoesNotPersist", 3, 10, ("redis_aof_last_write_status\(durable)", "0x5 1x10")),
        AlertCase("RedisRefusesConnections", 4, 15, ("redis_rejected_connections_total\(cache)", "0 0 3 3x30")),
    ]

    private static let all2xx = (#"bascule_http_requests_total{node="n", app="shop", class="2xx"}"#, "0+60x120")
    private static let some5xx = (#"bascule_http_requests_total{node="n", app="shop", class="5xx"}"#, "0+1x30 30x90")
    private static func bucket(_ limit: String) -> String {
        #"bascule_http_request_seconds_bucket{node="n", app="shop", le="\#(limit)"}"#
    }
    private static let web = [
        AlertCase("NginxDown", 3, 10, (#"nginx_up{node="n"}"#, "0x5 1x10")),
        AlertCase("ServerErrors", 15, 60, all2xx, some5xx),
        AlertCase("ManyServerErrors", 15, 60, all2xx, some5xx),
        AlertCase(
            "Slow", 20, 60, all2xx, (bucket("0.5"), "0+10x30 310+60x60"), (bucket("1.0"), "0+60x120"),
            (bucket("+Inf"), "0+60x120")),
        AlertCase("SiteDown", 3, 10, (#"probe_success{node="n", domain="shop.example"}"#, "0x5 1x10")),
        AlertCase(
            "CertificateEndsSoon", 740, 820,
            (#"bascule_certificate_not_after_seconds{node="n", name="shop"}"#, "60000x800 150000x100"),
            (#"bascule_certificate_not_before_seconds{node="n", name="shop"}"#, "0x800 48000x100")),
        AlertCase(
            "CertificateEnds", 7, 25,
            (#"probe_ssl_earliest_cert_expiry{node="n", domain="shop.example"}"#, "86400x20 8640000x20")),
    ]

    private static let apps = [
        AlertCase(
            "MailQueueLong", 20, 30, (#"bascule_mail_queue_messages{node="n", queue="deferred"}"#, "150x25 3x10")),
        AlertCase(
            "MailStuck", 8, 15, (#"bascule_mail_queue_oldest_seconds{node="n", queue="deferred"}"#, "9000x10 3x10")),
        AlertCase(
            "NewError", 5, 70,
            (
                #"bascule_error_first_seen_timestamp_seconds{node="n", app="shop", fingerprint="f", type="E"}"#, "0x100"
            )),
        AlertCase("ManyErrors", 15, 45, (#"bascule_errors_total{node="n", app="shop"}"#, "0+10x20 200x40")),
        AlertCase("ErrorsUnread", 13, 18, (#"bascule_errors_collected_timestamp_seconds{node="n"}"#, "0x15 1200x10")),
    ]
}
