import BasculeModel
import Foundation

/// RSA keys, made and read by the workstation's own OpenSSL. A key passes through pipes and nothing else.
package enum RSAKey {
    /// A new private key: PKCS #8 in PEM.
    static func make(bits: Int) throws -> String {
        let options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:\(bits)"]
        return String(decoding: try run(["genpkey"] + options, input: []), as: UTF8.self)
    }

    /// A private key's public half as DNS publishes it (RFC 6376): SubjectPublicKeyInfo in base64, on one line.
    /// - Throws: `invalid-input` where it is no RSA key of at least 2048 bits.
    package static func publicKey(of key: Secret) throws -> String {
        let der: [UInt8]
        do {
            der = try run(["pkey", "-pubout", "-outform", "DER"], input: key.revealBytes())
        } catch let error as BasculeError where error.code == .commandFailed {
            throw BasculeError(
                .invalidInput, "the DKIM key is not a private key in PEM",
                hint: "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048")
        }
        // 2048 bits make 294 bytes, 4096 make 550: less is too short, or not RSA.
        guard der.count >= 290, der.count <= 1100 else {
            throw BasculeError(.invalidInput, "the DKIM key is not an RSA key of 2048 to 8192 bits")
        }
        return Data(der).base64EncodedString()
    }

    private static func run(_ words: [String], input: [UInt8]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + words
        let (given, out) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (given, out)
        process.standardError = FileHandle.nullDevice
        do { try process.run() } catch {
            throw BasculeError(.commandFailed, "openssl cannot be started", cause: "\(error)", hint: "install openssl")
        }
        // A key fits into a pipe's buffer: nobody waits for anybody.
        try? given.fileHandleForWriting.write(contentsOf: Data(input))
        try? given.fileHandleForWriting.close()
        let text = out.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw BasculeError(
                .commandFailed, "openssl \(words[0]) failed", cause: "status \(process.terminationStatus)",
                hint: "is openssl installed on this machine?")
        }
        return [UInt8](text)
    }
}
