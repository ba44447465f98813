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
        case "app.service": PackageResources.app_service
        case "bascule-certificates": PackageResources.bascule_certificates
        case "certificates.ini": PackageResources.certificates_ini
        case "certificates.service": PackageResources.certificates_service
        case "cloudflare-networks.txt": PackageResources.cloudflare_networks_txt
        case "nginx.conf": PackageResources.nginx_conf
        case "mail-main.cf": PackageResources.mail_main_cf
        case "mail-master.cf": PackageResources.mail_master_cf
        case "mail-opendkim-unit.conf": PackageResources.mail_opendkim_unit_conf
        case "mail-opendkim.conf": PackageResources.mail_opendkim_conf
        case "mail-pace": PackageResources.mail_pace
        case "mail-pace.service": PackageResources.mail_pace_service
        case "mail-pace.timer": PackageResources.mail_pace_timer
        case "mail-postfix-unit.conf": PackageResources.mail_postfix_unit_conf
        case "mail-probe": PackageResources.mail_probe
        case "nginx-bascule.conf": PackageResources.nginx_bascule_conf
        case "nginx-hardening.conf": PackageResources.nginx_hardening_conf
        case "nginx-headers.conf": PackageResources.nginx_headers_conf
        case "nginx-proxy.conf": PackageResources.nginx_proxy_conf
        case "nginx-logrotate": PackageResources.nginx_logrotate
        case "nginx-maintenance.html": PackageResources.nginx_maintenance_html
        case "nginx-site.conf": PackageResources.nginx_site_conf
        case "nginx-unavailable.html": PackageResources.nginx_unavailable_html
        case "pg_hba.conf": PackageResources.pg_hba_conf
        case "pgbouncer-pools.ini": PackageResources.pgbouncer_pools_ini
        case "pgbouncer-userlist.txt": PackageResources.pgbouncer_userlist_txt
        case "pgbouncer.ini": PackageResources.pgbouncer_ini
        case "postgresql-reload.conf": PackageResources.postgresql_reload_conf
        case "postgresql-restart.conf": PackageResources.postgresql_restart_conf
        case "redis.conf": PackageResources.redis_conf
        default: nil
        }
    }
}
