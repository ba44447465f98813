import BasculeFleet
import BasculeModel
import Foundation

/// Entries of `resources:` that bring text or files with them.
extension Compilation {
    mutating func file(_ spec: FileResource, for consumer: Consumer) throws -> FileSpec {
        let permissions = Permissions(owner: spec.owner, group: spec.group, mode: Int(spec.mode.bits))
        let content: Content
        switch spec.content {
        case nil: content = ""
        case .inline(let text)?: content = Content(text)
        case .template(let path, let vars)?:
            let source = try TemplateSource(file: local(path))
            content = try Renderer.render(source, try vars.mapValues { try variable($0, for: consumer) })
        case .upload(let path)?: content = try upload(path)
        }
        return FileSpec(spec.path, content, permissions: permissions, state: spec.state)
    }

    /// A file of the fleet's folder, uploaded as it is.
    mutating func upload(_ path: String) throws -> Content {
        let full = local(path)
        guard let data = FileManager.default.contents(atPath: full) else {
            throw BasculeError(.inputOutput, "the file to upload cannot be read", at: .thing(full))
        }
        let digest = context.digest(Array(data))
        output.uploads[digest] = full
        return .blob(digest, size: data.count)
    }

    private func local(_ path: String) -> String { path.hasPrefix("/") ? path : "\(fleet.folder)/\(path)" }

    static func unit(_ spec: UnitResource) -> UnitSpec {
        UnitSpec(
            spec.name, content: spec.content.map { Content($0) },
            dropIns: Dictionary(uniqueKeysWithValues: spec.dropIns.map { ("\($0.key).conf", Content($0.value)) }),
            state: spec.state.map { $0 == .running ? .running : .stopped }, enabled: spec.enabled,
            reloadOn: spec.reloadOn, restartOn: spec.restartOn)
    }

    func timer(_ spec: TimerResource) throws -> TimerSpec {
        if !spec.persistent || spec.randomDelay != .zero {
            throw BasculeError(
                .catalogueLater, "a timer's persistent and randomDelay come with a later version",
                hint: "leave them out: a missed run is made up for at boot")
        }
        return TimerSpec(spec.name, calendar: spec.schedule, command: spec.command.words, user: spec.user)
    }

    mutating func repository(_ spec: AptRepositoryResource) throws -> AptRepositorySpec {
        if !spec.architectures.isEmpty {
            throw BasculeError(
                .catalogueLater, "an apt repository's architectures come with a later version",
                hint: "leave them out: the node's own is taken")
        }
        return AptRepositorySpec(
            spec.name, uris: spec.uris, suites: spec.suites, components: spec.components,
            key: try armouredKey(spec.key, at: nil))
    }
}

extension Compilation {
    /// A public key of the fleet's folder, as apt takes it.
    func armouredKey(_ file: String, at place: Place?) throws -> Content {
        let path = file.hasPrefix("/") ? file : "\(fleet.folder)/\(file)"
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8),
            text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        else {
            throw BasculeError(
                .invalidInput, "the repository's key \(file) is no ASCII-armoured OpenPGP key",
                at: place ?? .thing(path), hint: "gpg --armor --export KEY > FILE")
        }
        return Content(text)
    }
}
