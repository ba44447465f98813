import BasculeModel
import CLibSSH2

/// The host's key is unknown and the policy wants somebody to be asked.
private struct HostKeyQuestion: Error {
    let presented: HostKey
    let ask: @Sendable (HostKey) async -> Bool
}

extension SSHSession {
    /// Connects, checks the host's key, logs in. Drops before the banner are retried within the deadline.
    ///
    /// Errors carry the endpoint as their place; codes are the `ssh-…` ones of `SSHErrors.swift`.
    package static func connect(
        to endpoint: SSHEndpoint, login: SSHLogin, transport: SSHTransport? = nil
    ) async throws -> SSHSession {
        let session = SSHSession(endpoint: endpoint, transport: try transport ?? .shared)
        do {
            try await session.start(login)
            return session
        } catch {
            await session.drop()
            if error is CancellationError { throw SSHFailure.cancelled().placed(at: session.place) }
            throw BasculeError.wrapping(error, "the SSH connection failed").placed(at: session.place)
        }
    }

    private func start(_ login: SSHLogin) async throws {
        var login = login
        var deadline = ContinuousClock.now + login.deadline
        do {
            try await startWithRetries(login, &deadline)
        } catch let question as HostKeyQuestion {
            let asked = ContinuousClock.now
            guard await question.ask(question.presented) else {
                throw SSHFailure.hostKey(.unknown, presented: question.presented)
                    ?? BasculeError(.defect, "an unknown key was trusted")
            }
            deadline += .now - asked
            login.hostKeys = .pinned([question.presented], revoked: login.hostKeys.revoked)
            try await startWithRetries(login, &deadline)
        }
    }

    private func startWithRetries(_ login: SSHLogin, _ deadline: inout Instant) async throws {
        var pause = Duration.milliseconds(100)
        for attempt in 1... {
            do {
                return try await startOnce(login, &deadline)
            } catch let error as BasculeError where error.code == .sshDropped {
                drop()
                let jittered = pause * Double.random(in: 0.5...1.5)
                guard attempt < 10, ContinuousClock.now + jittered < deadline else {
                    throw SSHFailure.dropped(attempts: attempt, cause: error.cause)
                }
                try await Task.sleep(for: jittered, tolerance: .zero)
                pause = min(pause * 2, .seconds(2))
            }
        }
    }

    private func startOnce(_ login: SSHLogin, _ deadline: inout Instant) async throws {
        // The deadline is the peer's: waiting for our own other logins is not counted.
        let asked = ContinuousClock.now
        let slot = try await loop.logins.enter(endpoint, loop, on: self)
        deadline += .now - asked
        defer { loop.logins.leave(slot, loop) }
        let core = try SSHCore(descriptor: try await dial(until: deadline), loop: loop)
        self.core = core
        try core.prefer(hostKeys: Algorithms.hostKeys(preferring: login.hostKeys.pins.map(\.type)))
        core.socket.deadline = deadline
        try await handshake(core, until: deadline)
        try checkHostKey(core, login.hostKeys)
        try await authenticate(login, &deadline)
        core.socket.deadline = nil
        core.socket.loggedIn = true
    }

    private func handshake(_ core: SSHCore, until deadline: Instant) async throws {
        let result: Int
        do {
            result = try await drive("the key exchange", until: deadline) {
                Int(libssh2_session_handshake($0.session, $0.source.descriptor))
            }
        } catch let error as BasculeError {
            throw explain(error, core.socket)
        }
        if result == 0 { return }
        let socket = core.socket
        if socket.ended { throw explain(SSHFailure.disconnected(socket.endCause), socket) }
        // In this order: the exchange itself may fail before the lists were compared, for what a stranger sent.
        if result == Int(LIBSSH2_ERROR_KEX_FAILURE), let offer = KexOffer(socket.opening) {
            throw Algorithms.mismatch(offer)
        }
        throw BasculeError(
            .sshProtocol, "the server broke the SSH protocol before the login", cause: core.lastMessage(),
            hint: "check that the port is the one of an SSH server")
    }

    /// A connection that ended, or a deadline that passed, means different things before and after the banner.
    private func explain(_ error: BasculeError, _ socket: SSHSocket) -> BasculeError {
        if error.code == .sshTimedOut, !socket.bannerSeen {
            var late = SSHFailure.late("the server's banner")
            late.cause = socket.said.map { "it said: \($0)" }
            return late
        }
        guard error.code == .sshDisconnected, !socket.bannerSeen else { return error }
        let said = socket.said
        // What sshd says when it drops a login by MaxStartups or PerSourcePenalties.
        let limits = ["MaxStartups", "Not allowed at this time", "Too many"]
        if let said, !limits.contains(where: said.contains) {
            return SSHFailure.banner("the server answers, but not with an SSH banner", said: said)
        }
        return SSHFailure.dropped(attempts: 1, cause: said.map { "it said: \($0)" } ?? error.cause)
    }

    private func checkHostKey(_ core: SSHCore, _ policy: HostKeyPolicy) throws {
        guard let presented = core.presentedHostKey() else {
            throw BasculeError(.sshProtocol, "the server presents no readable host key")
        }
        let decision = HostKeyDecision.decide(presented: presented, pins: policy.pins, revoked: policy.revoked)
        if decision == .unknown {
            switch policy.unknown {
            case .accept(presented.fingerprint):
                hostKey = presented
                return
            case .ask(let ask):
                close()
                throw HostKeyQuestion(presented: presented, ask: ask)
            case .accept(let fingerprint):
                throw BasculeError(
                    .sshHostKeyUnknown,
                    "the host presents the key \(presented), and the accepted fingerprint is \(fingerprint)",
                    hint: "verify the fingerprint on the host's console")
            case .refuse: break
            }
        }
        if let refusal = SSHFailure.hostKey(decision, presented: presented) {
            close()
            throw refusal
        }
        hostKey = presented
    }
}
