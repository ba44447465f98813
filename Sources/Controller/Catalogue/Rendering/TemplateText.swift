import BasculeModel
import Foundation

/// Where a template's text comes from: the fleet's own `templates/NAME`, or the one that ships with Bascule.
struct TemplateSource {
    var name: String
    var text: String
    /// For messages: the override's path, or the built-in's name.
    var place: Place

    /// A built-in template or the fleet's override of it.
    init(builtIn name: String, folder: String) throws {
        let path = "\(folder)/templates/\(name)"
        if !folder.isEmpty, FileManager.default.fileExists(atPath: path) {
            self = try TemplateSource(file: path)
            return
        }
        guard let bytes = BuiltInTemplates.bytes(name) else {
            throw BasculeError(.defect, "there is no built-in template \(name)")
        }
        (self.name, text) = (name, String(decoding: bytes, as: UTF8.self))
        place = .thing("built-in template \(name)")
    }

    /// A file that is made of several templates, one after the other.
    init(builtIn names: [String], folder: String) throws {
        let parts = try names.map { try TemplateSource(builtIn: $0, folder: folder) }
        let overridden = parts.first { $0.place != .thing("built-in template \($0.name)") } ?? parts.first
        name = overridden?.name ?? ""
        text = parts.map(\.text).joined()
        place = overridden?.place ?? .thing("built-in template")
    }

    /// A file of the fleet's folder.
    init(file path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw BasculeError(.inputOutput, "the template cannot be read", at: .thing(path))
        }
        guard data.count <= 1 << 20, let text = String(data: data, encoding: .utf8) else {
            throw BasculeError(
                .catalogueTemplate, "the template is not UTF-8 text of at most 1 MiB", at: .thing(path))
        }
        (name, self.text, place) = ((path as NSString).lastPathComponent, text, .thing(path))
    }
}

/// The templates that ship with Bascule, by file name.
enum BuiltInTemplates {
    static func bytes(_ name: String) -> [UInt8]? {
        switch name {
        case "app-docker.service": PackageResources.app_docker_service
        case "app-logrotate": PackageResources.app_logrotate
        case "app.service": PackageResources.app_service
        case "backup-archive-reload.conf": PackageResources.backup_archive_reload_conf
        case "backup-archive-restart.conf": PackageResources.backup_archive_restart_conf
        case "backup-borg": PackageResources.backup_borg
        case "backup-borg.service": PackageResources.backup_borg_service
        case "backup-drill": PackageResources.backup_drill
        case "backup-rclone.conf": PackageResources.backup_rclone_conf
        case "backup-pgbackrest.conf": PackageResources.backup_pgbackrest_conf
        case "backup-postgresql": PackageResources.backup_postgresql
        case "backup-postgresql-base": PackageResources.backup_postgresql_base
        case "backup-postgresql-copies": PackageResources.backup_postgresql_copies
        case "backup-postgresql-state": PackageResources.backup_postgresql_state
        case "backup-postgresql-choice": PackageResources.backup_postgresql_choice
        case "backup-postgresql-restore": PackageResources.backup_postgresql_restore
        case "backup-postgresql-unit.conf": PackageResources.backup_postgresql_unit_conf
        case "backup-postgresql.service": PackageResources.backup_postgresql_service
        case "backup-timer.timer": PackageResources.backup_timer_timer
        case "backup-postgresql-copy.service": PackageResources.backup_postgresql_copy_service
        case "backup-postgresql-copy.timer": PackageResources.backup_postgresql_copy_timer
        case "backup-vault": PackageResources.backup_vault
        case "backup-vault-seal.path": PackageResources.backup_vault_seal_path
        case "backup-vault-seal.service": PackageResources.backup_vault_seal_service
        case "bascule-certificates": PackageResources.bascule_certificates
        case "Caddyfile": PackageResources.Caddyfile
        case "caddy-hardening.conf": PackageResources.caddy_hardening_conf
        case "certificates.ini": PackageResources.certificates_ini
        case "certificates.service": PackageResources.certificates_service
        case "cloudflare-networks.txt": PackageResources.cloudflare_networks_txt
        case "grafana-dashboard-data.json": PackageResources.grafana_dashboard_data_json
        case "grafana-dashboard-errors.json": PackageResources.grafana_dashboard_errors_json
        case "grafana-dashboard-node.json": PackageResources.grafana_dashboard_node_json
        case "grafana-dashboard-web.json": PackageResources.grafana_dashboard_web_json
        case "grafana-dashboards.yaml": PackageResources.grafana_dashboards_yaml
        case "grafana-datasource.yaml": PackageResources.grafana_datasource_yaml
        case "grafana.ini": PackageResources.grafana_ini
        case "nginx.conf": PackageResources.nginx_conf
        case "mail-login": PackageResources.mail_login
        case "mail-sasl.conf": PackageResources.mail_sasl_conf
        case "mail-main.cf": PackageResources.mail_main_cf
        case "mail-master.cf": PackageResources.mail_master_cf
        case "mail-opendkim-unit.conf": PackageResources.mail_opendkim_unit_conf
        case "mail-opendkim.conf": PackageResources.mail_opendkim_conf
        case "mail-pace": PackageResources.mail_pace
        case "mail-pace.service": PackageResources.mail_pace_service
        case "mail-pace.timer": PackageResources.mail_pace_timer
        case "mail-postfix-unit.conf": PackageResources.mail_postfix_unit_conf
        case "mail-probe": PackageResources.mail_probe
        case "monitoring-access.mtail": PackageResources.monitoring_access_mtail
        case "monitoring-alertmanager.yml": PackageResources.monitoring_alertmanager_yml
        case "monitoring-blackbox.yml": PackageResources.monitoring_blackbox_yml
        case "monitoring-errors.service": PackageResources.monitoring_errors_service
        case "monitoring-hardening.conf": PackageResources.monitoring_hardening_conf
        case "monitoring-mail.sh": PackageResources.monitoring_mail_sh
        case "monitoring-pgbouncer.sh": PackageResources.monitoring_pgbouncer_sh
        case "monitoring-prometheus.yml": PackageResources.monitoring_prometheus_yml
        case "monitoring-reader.service": PackageResources.monitoring_reader_service
        case "monitoring-rules-access.yml": PackageResources.monitoring_rules_access_yml
        case "monitoring-rules-agent.yml": PackageResources.monitoring_rules_agent_yml
        case "monitoring-backup-postgresql.sh": PackageResources.monitoring_backup_postgresql_sh
        case "monitoring-rules-backup.yml": PackageResources.monitoring_rules_backup_yml
        case "monitoring-rules-certificates.yml": PackageResources.monitoring_rules_certificates_yml
        case "monitoring-rules-errors.yml": PackageResources.monitoring_rules_errors_yml
        case "monitoring-rules-mail.yml": PackageResources.monitoring_rules_mail_yml
        case "monitoring-rules-nginx.yml": PackageResources.monitoring_rules_nginx_yml
        case "monitoring-rules-node.yml": PackageResources.monitoring_rules_node_yml
        case "monitoring-rules-pgbouncer.yml": PackageResources.monitoring_rules_pgbouncer_yml
        case "monitoring-rules-postgresql.yml": PackageResources.monitoring_rules_postgresql_yml
        case "monitoring-rules-redis.yml": PackageResources.monitoring_rules_redis_yml
        case "monitoring-rules-services.yml": PackageResources.monitoring_rules_services_yml
        case "monitoring-rules-sites.yml": PackageResources.monitoring_rules_sites_yml
        case "monitoring-rules-watch.yml": PackageResources.monitoring_rules_watch_yml
        case "monitoring-timer.timer": PackageResources.monitoring_timer_timer
        case "compose.yaml": PackageResources.compose_yaml
        case "docker-daemon.json": PackageResources.docker_daemon_json
        case "ecosystem.config.js": PackageResources.ecosystem_config_js
        case "nginx-bascule.conf": PackageResources.nginx_bascule_conf
        case "nginx-hardening.conf": PackageResources.nginx_hardening_conf
        case "nginx-headers.conf": PackageResources.nginx_headers_conf
        case "nginx-logrotate": PackageResources.nginx_logrotate
        case "nginx-maintenance.html": PackageResources.nginx_maintenance_html
        case "nginx-proxy.conf": PackageResources.nginx_proxy_conf
        case "nginx-site.conf": PackageResources.nginx_site_conf
        case "nginx-unavailable.html": PackageResources.nginx_unavailable_html
        case "pg_hba.conf": PackageResources.pg_hba_conf
        case "pgbouncer-login.sql": PackageResources.pgbouncer_login_sql
        case "pgbouncer-pools.ini": PackageResources.pgbouncer_pools_ini
        case "pgbouncer-service.sh": PackageResources.pgbouncer_service_sh
        case "pgbouncer-unit.conf": PackageResources.pgbouncer_unit_conf
        case "pgbouncer-userlist.txt": PackageResources.pgbouncer_userlist_txt
        case "pgbouncer.ini": PackageResources.pgbouncer_ini
        case "postgresql-checksums": PackageResources.postgresql_checksums
        case "postgresql-apt.asc": PackageResources.postgresql_apt_asc
        case "postgresql-reload.conf": PackageResources.postgresql_reload_conf
        case "postgresql-restart.conf": PackageResources.postgresql_restart_conf
        case "postgresql-unit.conf": PackageResources.postgresql_unit_conf
        case "redis-limits.conf": PackageResources.redis_limits_conf
        case "redis-reload.txt": PackageResources.redis_reload_txt
        case "redis-unit.conf": PackageResources.redis_unit_conf
        case "redis-users.acl": PackageResources.redis_users_acl
        case "redis.conf": PackageResources.redis_conf
        case "system-accounting-logrotate": PackageResources.system_accounting_logrotate
        case "system-accounting.conf": PackageResources.system_accounting_conf
        case "system-aide.conf": PackageResources.system_aide_conf
        case "system-apt-upgrade.conf": PackageResources.system_apt_upgrade_conf
        case "system-banner": PackageResources.system_banner
        case "system-chrony.conf": PackageResources.system_chrony_conf
        case "system-compilers.sh": PackageResources.system_compilers_sh
        case "system-coredump.conf": PackageResources.system_coredump_conf
        case "system-fail2ban.conf": PackageResources.system_fail2ban_conf
        case "system-integrity.service": PackageResources.system_integrity_service
        case "system-integrity.sh": PackageResources.system_integrity_sh
        case "system-integrity.timer": PackageResources.system_integrity_timer
        case "system-jail.local": PackageResources.system_jail_local
        case "system-journald.conf": PackageResources.system_journald_conf
        case "system-known-address.sh": PackageResources.system_known_address_sh
        case "system-limits.conf": PackageResources.system_limits_conf
        case "system-login.defs": PackageResources.system_login_defs
        case "system-logind.conf": PackageResources.system_logind_conf
        case "system-modprobe.conf": PackageResources.system_modprobe_conf
        case "system-mounts.service": PackageResources.system_mounts_service
        case "system-mounts.sh": PackageResources.system_mounts_sh
        case "system-needrestart.conf": PackageResources.system_needrestart_conf
        case "system-profile.sh": PackageResources.system_profile_sh
        case "system-reboot.service": PackageResources.system_reboot_service
        case "system-reboot.sh": PackageResources.system_reboot_sh
        case "system-reboot.timer": PackageResources.system_reboot_timer
        case "system-sshd.conf": PackageResources.system_sshd_conf
        case "system-sudoers": PackageResources.system_sudoers
        case "system-swap.service": PackageResources.system_swap_service
        case "system-swap.sh": PackageResources.system_swap_sh
        case "system-upgrades.conf": PackageResources.system_upgrades_conf
        case "system-upgrades.sh": PackageResources.system_upgrades_sh
        default: nil
        }
    }
}
