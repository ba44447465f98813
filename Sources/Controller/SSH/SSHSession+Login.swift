import BasculeModel
import CLibSSH2
import Glibc

/// What a server made of one identity.
private enum Verdict {
    case loggedIn
    /// Not accepted, or not usable; the next identity is tried.
    case refused(BasculeError)
}

/// Passes a signature into libssh2, which asks for it in the middle of a login.
///
/// libssh2 takes "try again" from the signer, so the signature may come from elsewhere and take its time.
private final class Signer {
    enum State {
        case idle
        /// The server accepts the key and this is to be signed.
        case wanted([UInt8])
        case signed([UInt8])
        case declined
    }
    var state = State.idle
}

private typealias SignCallback =
    @convention(c) (
        OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, UnsafeMutablePointer<Int>?,
        UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32

private let signCallback: SignCallback = { session, signature, length, data, count, abstract in
    guard let session, let signature, let length, let opaque = abstract?.pointee else { return -1 }
    let signer = Unmanaged<Signer>.fromOpaque(opaque).takeUnretainedValue()
    switch signer.state {
    case .declined: return -1
    case .idle, .wanted:
        signer.state = .wanted(Array(UnsafeRawBufferPointer(start: data, count: count)))
        return LIBSSH2_ERROR_EAGAIN
    case .signed(let bytes):
        guard let block = SSHCore.allocate(bytes.count, for: session) else { return -1 }
        bytes.withUnsafeBytes { block.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(block), byteCount: $0.count) }
        signature.pointee = block.assumingMemoryBound(to: UInt8.self)
        length.pointee = bytes.count
        return 0
    }
}

extension SSHSession {
    /// Tries the identities in order. Never asks for the list of methods: that would cost a round trip.
    func authenticate(_ login: SSHLogin, _ deadline: inout Instant) async throws {
        var refusals: [BasculeError] = []
        var offered: Set<[UInt8]> = []
        for identity in login.identities {
            do {
                switch try await verdict(identity, login, &offered, &deadline) {
                case .loggedIn: return
                case .refused(let error): refusals.append(error)
                }
            } catch let error as BasculeError where error.code == .sshDisconnected && !refusals.isEmpty {
                // sshd hangs up after MaxAuthTries keys.
                refusals.append(error)
                break
            }
        }
        throw SSHSession.summary(refusals, user: login.user)
    }

    private static func summary(_ refusals: [BasculeError], user: String) -> BasculeError {
        if refusals.count == 1, let only = refusals.first { return only }
        let causes = refusals.map { error in (error.place.map { "\($0): " } ?? "") + error.message }
        // One kind of problem keeps its code; a mixture is a failed login.
        let codes = Set(refusals.map(\.code))
        let code = codes.count == 1 ? codes.first ?? .sshAuthFailed : .sshAuthFailed
        return BasculeError(
            code, refusals.isEmpty ? "no identity to log in with" : "the server accepts no identity for user \(user)",
            cause: refusals.isEmpty ? nil : causes.joined(separator: "; "),
            hint: refusals.last(where: { $0.code == .sshRSAUnsupported })?.hint
                ?? "name a key (Ed25519 or ECDSA) whose public half is in the user's authorized_keys")
    }

    private func verdict(
        _ identity: SSHIdentity, _ login: SSHLogin, _ offered: inout Set<[UInt8]>, _ deadline: inout Instant
    ) async throws -> Verdict {
        let key: PrivateKey
        do {
            switch identity {
            case .agent(let path): return try await agentVerdict(path, login, &offered, &deadline)
            case .keyFile(let path): key = try PrivateKey(path: path)
            case .key(let text, let name): key = try PrivateKey(name: name, text: text)
            }
        } catch let error as BasculeError where SSHSession.skippable.contains(error.code) {
            return .refused(error)
        }
        if let blob = key.publicBlob { offered.insert(blob) }
        if !key.encrypted { return try await offer(key, passphrase: nil, login, deadline) }
        // Nobody is asked for the passphrase of a key that the server does not want.
        if let blob = key.publicBlob, try await probe(blob, login, deadline) == false {
            return .refused(SSHSession.rejected(key.name, login.user))
        }
        return try await offerEncrypted(key, login, &deadline)
    }

    private static let skippable: Set<ErrorCode> = [
        .sshKeyUnreadable, .sshRSAUnsupported, .sshKeyUnsupported, .sshAgentFailed,
    ]

    private static func rejected(_ name: String, _ user: String) -> BasculeError {
        BasculeError(
            .sshAuthFailed, "the server does not accept this key for user \(SSHFailure.harmless(user.utf8))",
            at: .thing(name), hint: "check the user name, and add the key's public half to its authorized_keys")
    }

    private func offerEncrypted(_ key: PrivateKey, _ login: SSHLogin, _ deadline: inout Instant) async throws -> Verdict
    {
        let needed = BasculeError(
            .sshPassphraseNeeded, "the private key is encrypted", at: .thing(key.name),
            hint: "give its passphrase, or load it into an ssh-agent with ssh-add")
        guard let ask = login.passphrase else { return .refused(needed) }
        for attempt in 1...3 {
            let asked = ContinuousClock.now
            let passphrase = await ask(key.name, attempt)
            deadline += .now - asked
            core?.socket.deadline = deadline
            guard let passphrase else { return .refused(needed) }
            switch try await offer(key, passphrase: passphrase, login, deadline) {
            case .refused(let error) where error.code == .sshPassphraseNeeded: continue
            case let verdict: return verdict
            }
        }
        return .refused(
            BasculeError(
                .sshPassphraseNeeded, "none of three passphrases opens the private key", at: .thing(key.name),
                hint: "check it with: ssh-keygen -y -f \(key.name)"))
    }

    /// Logs in with a key whose private half libssh2 reads from memory.
    private func offer(_ key: PrivateKey, passphrase: Secret?, _ login: SSHLogin, _ deadline: Instant) async throws
        -> Verdict
    {
        let (secret, line) = (key.text.reveal(), key.publicLine ?? "")
        let phrase = passphrase?.reveal()
        let result = try await drive("the login", until: deadline) { core in
            Int(
                libssh2_userauth_publickey_frommemory(
                    core.session, login.user, login.user.utf8.count, line.isEmpty ? nil : line, line.utf8.count, secret,
                    secret.utf8.count, phrase))
        }
        if result == 0 { return .loggedIn }
        let message = core?.lastMessage() ?? ""
        let error = failed(.sshAuthFailed, "the login failed")
        if error.code == .sshDisconnected { throw error }
        // Told apart by libssh2's text, as one number stands for both: here the server had accepted the key, but its
        // private half would not sign.
        let local = message.contains("Callback returned error") || result == Int(LIBSSH2_ERROR_FILE)
        if local && key.encrypted {
            return .refused(
                BasculeError(.sshPassphraseNeeded, "the passphrase does not open the key", at: .thing(key.name)))
        }
        if local {
            return .refused(
                PrivateKey.unreadable(
                    key.name, "libssh2: \(message)", "convert it: ssh-keygen -p -f KEY rewrites it in OpenSSH's format")
            )
        }
        return .refused(SSHSession.rejected(key.name, login.user))
    }

    // MARK: keys whose private half is elsewhere

    /// Asks whether the server would accept a key, without signing anything.
    private func probe(_ blob: [UInt8], _ login: SSHLogin, _ deadline: Instant) async throws -> Bool {
        let signer = Signer()
        if try await drive(signer, blob, login, deadline) != nil { return false }
        signer.state = .declined
        _ = try await drive(signer, blob, login, deadline)
        return true
    }

    /// libssh2's result, or nil when it wants a signature.
    private func drive(_ signer: Signer, _ blob: [UInt8], _ login: SSHLogin, _ deadline: Instant) async throws -> Int? {
        let wantsSignature = 1
        let result = try await drive("the login", until: deadline) { core in
            var opaque: UnsafeMutableRawPointer? = Unmanaged.passUnretained(signer).toOpaque()
            let result = libssh2_userauth_publickey(core.session, login.user, blob, blob.count, signCallback, &opaque)
            if case .wanted = signer.state, result == LIBSSH2_ERROR_EAGAIN { return wantsSignature }
            return Int(result)
        }
        return result == wantsSignature ? nil : result
    }

    private func agentVerdict(
        _ path: String?, _ login: SSHLogin, _ offered: inout Set<[UInt8]>, _ deadline: inout Instant
    ) async throws -> Verdict {
        let agent = try await SSHAgent.connect(path, on: self, until: deadline)
        defer { agent.close() }
        let keys = try await agent.identities(on: self, until: deadline)
        let usable = keys.filter { PrivateKey.isUsable($0.type) && !offered.contains($0.blob) }
        for key in usable.prefix(5) {
            offered.insert(key.blob)
            let signer = Signer()
            var result = try await drive(signer, key.blob, login, deadline)
            if result == nil, case .wanted(let data) = signer.state {
                // A person may have to confirm; that time is not the server's.
                let asked = ContinuousClock.now
                let signature = try await agent.sign(data, with: key.blob, on: self, until: asked + .seconds(60))
                deadline += .now - asked
                core?.socket.deadline = deadline
                signer.state = signature.map { .signed($0) } ?? .declined
                result = try await drive(signer, key.blob, login, deadline)
            }
            if result == 0 { return .loggedIn }
            let error = failed(.sshAuthFailed, "the login failed")
            if error.code == .sshDisconnected { throw error }
        }
        let place = Place.thing("ssh-agent")
        if usable.isEmpty, let other = keys.first(where: { !PrivateKey.isUsable($0.type) }) {
            try PrivateKey.check(other.type, "ssh-agent")
        }
        guard !usable.isEmpty else {
            return .refused(
                BasculeError(
                    .sshAgentFailed, "the ssh-agent has no key to offer", at: place, hint: "add one with ssh-add"))
        }
        return .refused(SSHSession.rejected("ssh-agent (\(min(5, usable.count)) keys)", login.user))
    }
}
