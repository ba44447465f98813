import BasculeModel
import BasculeProtocol
import BasculeSSH
import Foundation

/// Keeps connections to agents between commands: a process of its own, without terminal or output, that ends by
/// itself. It lends bytes and understands none of them: every command greets the agent itself, on a channel of its own.
package actor ConnectionHolder {
    private struct Held {
        var session: SSHSession
        /// Opened ahead, so that the next command does not wait for the node to start the agent's bridge.
        var spare: SSHStream
        var hostKey: String
    }

    private let socket: String
    private let patience: Duration
    private var held: [HeldAddress: Held] = [:]
    private var connecting = 0
    private var clients = 0
    private var used = ContinuousClock.now

    private init(socket: String, patience: Duration) { (self.socket, self.patience) = (socket, patience) }

    /// Serves at `socket` until nothing has been asked for `patience`, nothing is held any more, or the program or the
    /// store beside which it was started has changed. `first` is what to hold at the beginning.
    package static func run(socket: String, store: String, patience: Duration, first: [UInt8]) async throws {
        FileLimit.raise()
        let order = try Wire.decode(HolderOrder.self, from: first)
        guard let listener = try await LocalListener.listen(socket) else {
            _ = await HolderClient(socket: socket).hand(order)
            return
        }
        let holder = ConnectionHolder(socket: socket, patience: patience)
        await holder.hold(order)
        let accepting = Task {
            while true {
                let client = try await listener.accept()
                Task { await holder.serve(client) }
            }
        }
        let watched = [Holding.program, store]
        let before = watched.map(FileIdentity.init)
        while await holder.isWanted, watched.map(FileIdentity.init) == before { try await Task.sleep(for: .seconds(1)) }
        accepting.cancel()
        await listener.close()
        await holder.close()
    }

    private var isWanted: Bool {
        clients > 0 || connecting > 0 || !held.isEmpty && .now - used < patience
    }

    private func close() async {
        for entry in held.values { await entry.session.close() }
        held = [:]
    }

    // MARK: - Holding

    private func hold(_ order: HolderOrder) {
        for entry in order.entries where held[entry.address] == nil {
            connecting += 1
            Task { await self.connect(entry, Secret(order.key)) }
        }
    }

    private func connect(_ entry: HolderOrder.Entry, _ key: Secret) async {
        defer { connecting -= 1 }
        do {
            let address = entry.address
            let session = try await SSHSession.connect(
                to: SSHEndpoint(host: address.host, port: address.port),
                login: SSHLogin(
                    user: address.user, identities: [.key(key, name: "the fleet's key")],
                    hostKeys: .pinned(try entry.hostKeys.map { try SSHHostKey(line: $0) }), deadline: .seconds(30)))
            guard let hostKey = await session.hostKey?.line else { return await session.close() }
            let spare = try await session.openStream("connect", window: 4 << 20)
            used = .now
            held[address] = Held(session: session, spare: spare, hostKey: hostKey)
            Task { await self.watch(address, session) }
        } catch {
            // Nobody to tell: the next command connects by itself and says what is wrong.
        }
    }

    /// Lets go of a connection that broke.
    private func watch(_ address: HeldAddress, _ session: SSHSession) async {
        while held[address]?.session === session {
            guard await session.isOpen else {
                held[address] = nil
                return
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    // MARK: - Lending

    private func serve(_ client: LocalStream) async {
        clients += 1
        used = .now
        defer {
            clients -= 1
            used = .now
        }
        do {
            var decoder = FrameDecoder()
            while let bytes = try await client.read(deadline: .seconds(5)) {
                decoder.feed(bytes)
                guard let frame = try decoder.next() else { continue }
                try await answer(try Wire.decode(HolderRequest.self, from: frame.body), client)
                break
            }
        } catch {
            // A command that went away, or speaks another version's language.
        }
        await client.close()
    }

    private func answer(_ request: HolderRequest, _ client: LocalStream) async throws {
        switch request {
        case .channel(let address):
            guard let entry = held[address], await entry.session.isOpen else {
                held[address] = nil
                return try await client.write(try Wire.frame(.reply, id: 0, HolderReply.none))
            }
            let channel = try await take(address, entry)
            try await client.write(try Wire.frame(.reply, id: 0, HolderReply.lent(hostKey: entry.hostKey)))
            await pipe(client, channel)
        case .hold(let order):
            hold(order)
            try await client.write(try Wire.frame(.reply, id: 0, HolderReply.accepted))
        case .end:
            held = [:]
            try await client.write(try Wire.frame(.reply, id: 0, HolderReply.accepted))
        }
    }

    /// The spare channel, replaced for the next command; or, where two commands come at once, one opened now.
    private func take(_ address: HeldAddress, _ entry: Held) async throws -> SSHStream {
        let spare = entry.spare
        guard spares.insert(ObjectIdentifier(spare)).inserted else {
            return try await entry.session.openStream("connect", window: 4 << 20)
        }
        Task {
            do {
                let next = try await entry.session.openStream("connect", window: 4 << 20)
                spares.remove(ObjectIdentifier(spare))
                if held[address]?.session === entry.session { held[address]?.spare = next }
            } catch {
                // Without a spare the connection is of no use to anybody.
                spares.remove(ObjectIdentifier(spare))
                if held[address]?.session === entry.session { held[address] = nil }
            }
        }
        return spare
    }

    /// Spare channels that were lent and not replaced yet.
    private var spares: Set<ObjectIdentifier> = []

    /// Carries bytes both ways until either side ends.
    private func pipe(_ client: LocalStream, _ channel: SSHStream) async {
        let up = Task {
            do {
                while let bytes = try await client.read() { try await channel.write(bytes) }
            } catch {}
            // The command is done, or gone: the agent's bridge must not outlive it.
            await channel.close()
        }
        do {
            while let bytes = try await channel.read() { try await client.write(bytes) }
        } catch {}
        await client.close()
        await up.value
    }
}
