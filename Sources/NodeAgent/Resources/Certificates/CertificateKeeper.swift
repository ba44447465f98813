import BasculeModel
import FoundationEssentials
import Glibc
import Synchronization

/// Self-signed certificates (ECDSA P-256), through openssl.
enum CertificateKeeper {
    /// What a pair of files holds, read again only when one of them changed.
    private struct Known: Sendable {
        var certificate: FileIdentity
        var key: FileIdentity
        var domains: [String]
        var begins: Int64
        var ends: Int64
        var keyMatches: Bool
    }
    private static let known = Mutex<[String: Known]>([:])

    static func observe(_ spec: CertificateSpec) throws -> CertificateObserved {
        guard let certificate = FileIdentity(path: spec.certificatePath), let key = FileIdentity(path: spec.keyPath)
        else { return CertificateObserved(present: false) }
        var hit = known.withLock { $0[spec.certificatePath] }
        if hit?.certificate != certificate || hit?.key != key {
            hit = try read(spec, certificate, key)
            known.withLock { $0[spec.certificatePath] = hit }
        }
        guard let hit else { return CertificateObserved(present: false) }
        let now = Int64(time(nil))
        return CertificateObserved(
            present: true, domains: hit.domains, endsSoon: hit.ends - now < (hit.ends - hit.begins) / 3,
            keyMatches: hit.keyMatches && isReadable(spec))
    }

    /// Whether the key is its reader's and nobody else's.
    private static func isReadable(_ spec: CertificateSpec) -> Bool {
        guard let owner = spec.owner else { return true }
        var info = stat()
        guard lstat(spec.keyPath, &info) == 0, let user = try? AccountDatabase.current().requireUser(owner) else {
            return false
        }
        return info.st_uid == user.uid && info.st_mode & 0o077 == 0
    }

    static func apply(_ spec: CertificateSpec) throws {
        guard let first = spec.domains.first, spec.domains.allSatisfy(isName) else {
            throw BasculeError(.invalidInput, "A certificate needs plain host names", at: .thing(spec.name))
        }
        let outcome = try Subprocess.require(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha256", "-nodes",
                "-days", "\(spec.days)", "-subj", "/CN=\(first.prefix(64))", "-addext",
                "subjectAltName=" + spec.domains.map { "DNS:\($0)" }.joined(separator: ","), "-addext",
                "basicConstraints=critical,CA:FALSE", "-keyout", "/dev/stdout", "-out", "/dev/stdout",
            ], "Making the certificate \(spec.name)")
        let parts = outcome.text.components(separatedBy: "-----BEGIN CERTIFICATE-----")
        guard parts.count == 2, let key = parts.first, key.contains("PRIVATE KEY") else {
            throw BasculeError(.commandFailed, "openssl gave no certificate and key", at: .thing(spec.name))
        }
        // The key first: a crash in between leaves a pair that does not match, which the next apply repairs.
        let owner = spec.owner ?? "root"
        try AtomicFile.write(spec.keyPath, Array(key.utf8), Permissions(owner: owner, group: owner, mode: 0o600))
        let text = "-----BEGIN CERTIFICATE-----" + parts[1]
        try AtomicFile.write(spec.certificatePath, Array(text.utf8), Permissions(mode: 0o644))
    }

    private static func read(
        _ spec: CertificateSpec, _ certificate: FileIdentity, _ key: FileIdentity
    ) throws -> Known? {
        let outcome = try Subprocess.run([
            "openssl", "x509", "-in", spec.certificatePath, "-noout", "-dates", "-dateopt", "iso_8601", "-ext",
            "subjectAltName", "-pubkey",
        ])
        guard outcome.status == 0 else { return nil }
        let pair = try Subprocess.run(["openssl", "pkey", "-in", spec.keyPath, "-pubout"])
        let text = outcome.text
        let publicKey = pair.text.split(separator: "\n").joined()
        return Known(
            certificate: certificate, key: key, domains: names(in: text),
            begins: moment("notBefore=", in: text) ?? 0, ends: moment("notAfter=", in: text) ?? 0,
            keyMatches: pair.status == 0 && !publicKey.isEmpty
                && text.split(separator: "\n").joined().contains(publicKey))
    }

    static func names(in text: String) -> [String] {
        text.split(whereSeparator: { $0 == "," || $0.isNewline || $0 == " " })
            .filter { $0.hasPrefix("DNS:") }.map { String($0.dropFirst(4)) }
    }

    /// `notAfter=2026-12-31 23:59:59Z` as seconds since 1970.
    static func moment(_ key: String, in text: String) -> Int64? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
        let numbers = line.dropFirst(key.count).split(whereSeparator: { !$0.isNumber }).compactMap { Int32($0) }
        guard numbers.count == 6 else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers[5])
        return Int64(timegm(&parts))
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                ($0 >= 97 && $0 <= 122) || ($0 >= 65 && $0 <= 90) || ($0 >= 48 && $0 <= 57) || "-.*_".utf8.contains($0)
            }
    }
}
