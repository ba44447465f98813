import BasculeModel

extension Codec where Value == SecretName {
    /// A credential: only `!secret NAME` will do.
    static var secret: Codec {
        Codec(
            "a secret, written !secret NAME",
            schema: { .object([("type", .text("string")), ("description", .text("!secret NAME"))]) },
            read: { node, reader in
                if case .secret(let name)? = ReferenceText.read(node, reader) { return name }
                if node.tag == nil {
                    ReferenceText.refusePlain(node, reader)
                } else if node.tag != "!secret" {
                    reader.mismatch(node, "a secret, written !secret NAME")
                }
                return nil
            })
    }
}

extension Codec where Value == Reference {
    static var reference: Codec {
        Codec(
            "!secret NAME or !generate NAME", schema: { .object([("type", .text("string"))]) },
            read: { node, reader in
                if let reference = ReferenceText.read(node, reader) { return reference }
                if node.tag == nil { ReferenceText.refusePlain(node, reader) }
                return nil
            })
    }
}

extension Codec where Value == EnvValue {
    static var environment: Codec {
        Codec(
            "text, or one of !binding, !secret, !generate",
            schema: {
                .object([("type", .list([.text("string"), .text("number"), .text("boolean"), .text("null")]))])
            },
            read: { node, reader in
                if node.tag != nil { return ReferenceText.read(node, reader).map { .reference($0) } }
                guard case .scalar(let text, _) = node.content else {
                    reader.mismatch(node, "text, or one of !binding, !secret, !generate")
                    return nil
                }
                if text.contains("\0") || text.contains("\n") {
                    reader.error(
                        .fleetBadValue, "\(reader.subject) must not hold a line feed or NUL", at: node.span,
                        hint: "an environment variable is one line")
                    return nil
                }
                if SourceText.holdsPassword(text) {
                    ReferenceText.refusePlain(node, reader)
                    return nil
                }
                ReferenceText.doubt(node, reader)
                return .literal(node.isNull ? "" : text)
            })
    }
}

extension Codec where Value == TemplateValue {
    static var templateValue: Codec {
        Codec(
            "text, a number, true, false, a list, a mapping, or one of !binding, !secret, !generate",
            schema: { .object([]) }, read: { node, reader in ReferenceText.template(node, reader) })
    }
}

/// Reads what the tags mean.
enum ReferenceText {
    /// What a tagged value refers to; nil for an untagged one, and, with a report, for a bad one.
    static func read(_ node: YAMLNode, _ reader: Reader) -> Reference? {
        guard let tag = node.tag else { return nil }
        let known = ["!binding", "!secret", "!generate"]
        guard known.contains(tag) else {
            let meant = NearMiss.suggestion(for: tag, among: known)
            reader.error(
                .fleetBadValue, "unknown tag \(quoted(tag)) in \(reader.subject)", at: node.span,
                hint: meant.map { "did you mean '\($0)'?" } ?? "known tags: \(known.joined(separator: ", "))")
            return nil
        }
        guard case .scalar(let text, _) = node.content else {
            reader.error(.fleetWrongType, "\(reader.subject): \(tag) takes a name", at: node.span)
            return nil
        }
        if tag == "!binding" { return binding(text, node, reader).map { .binding($0) } }
        guard TextRule.secret.accepts(text) else {
            reader.hide(node)
            reader.error(
                .fleetBadName, "\(reader.subject): what follows \(tag) is not a secret's name", at: node.span,
                hint: "letters, digits, '_' and '-' only; the value itself is given to `bascule secret set NAME`")
            return nil
        }
        return tag == "!secret" ? .secret(SecretName(text)) : .generate(SecretName(text))
    }

    private static func binding(_ text: String, _ node: YAMLNode, _ reader: Reader) -> Binding? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        func refuse(_ hint: String) -> Binding? {
            reader.error(
                .fleetBadValue, "\(reader.subject): \(quoted(text)) is not a binding", at: node.span, hint: hint)
            return nil
        }
        if parts[0] == "mail" {
            let aspects: [Binding.Aspect] = [.url, .host, .port, .user, .password]
            guard parts.count > 1 else { return Binding(.mail) }
            guard parts.count == 2, let aspect = Binding.Aspect(rawValue: parts[1]), aspects.contains(aspect) else {
                return refuse("mail offers \(aspects.map(\.rawValue).joined(separator: ", "))")
            }
            return Binding(.mail, aspect: aspect)
        }
        guard parts.count == 2 || parts.count == 3 else {
            return refuse("write !binding database.NAME, redis.cache, redis.durable, app.NAME or mail")
        }
        let target: Binding.Target
        let aspects: [Binding.Aspect]
        switch parts[0] {
        case "database":
            (target, aspects) = (.database(DatabaseName(parts[1])), Binding.Aspect.allCases)
        case "redis":
            guard let purpose = RedisPurpose(rawValue: parts[1]) else {
                return refuse("redis has the instances cache and durable")
            }
            (target, aspects) = (.redis(purpose), [.url, .host, .port, .password])
        case "app":
            (target, aspects) = (.app(AppName(parts[1])), [.url, .host, .port])
        default:
            let meant = NearMiss.suggestion(for: parts[0], among: ["database", "redis", "app", "mail"])
            return refuse(
                meant.map { "did you mean '\($0).\(parts[1])'?" }
                    ?? "a binding starts with database, redis, app or mail")
        }
        guard parts.count == 3 else { return Binding(target) }
        guard let aspect = Binding.Aspect(rawValue: parts[2]), aspects.contains(aspect) else {
            return refuse("\(parts[0]).\(parts[1]) offers \(aspects.map(\.rawValue).joined(separator: ", "))")
        }
        return Binding(target, aspect: aspect)
    }

    /// A secret's value must never stand in the file; nor may the message repeat it.
    static func refusePlain(_ node: YAMLNode, _ reader: Reader) {
        reader.hide(node)
        let last = reader.path.last ?? ""
        // `migration.sources.legacy.mysql` is best kept as SOURCE_LEGACY_URL.
        let source = reader.path.count == 4 && reader.path[1] == "sources" ? "SOURCE_\(reader.path[2])_URL" : last
        let stem = source.uppercased().replacing("-", with: "_")
        let name = TextRule.secret.accepts(stem) ? stem : "NAME"
        reader.error(
            .fleetPlainSecret, "\(reader.subject) must be a secret's name, not its value", at: node.span,
            hint: "store the value with `bascule secret set \(name)` and write `!secret \(name)` here")
    }

    /// Warns of a literal under a name that smells of a secret.
    static func doubt(_ node: YAMLNode, _ reader: Reader) {
        let name = (reader.path.last ?? "").uppercased()
        let smells = ["PASSWORD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE_KEY", "CREDENTIAL"]
        guard smells.contains(where: name.contains), !name.hasPrefix("NEXT_PUBLIC_"), !node.isNull else { return }
        reader.hide(node)
        reader.warning(
            "\(reader.subject) looks like a secret, and its value stands in the file", at: node.span,
            hint: "store it with `bascule secret set \(name)` and write `!secret \(name)`")
    }

    static func template(_ node: YAMLNode, _ reader: Reader) -> TemplateValue? {
        if node.tag != nil { return read(node, reader).map { .reference($0) } }
        switch node.content {
        case .scalar(let text, let plain):
            if SourceText.holdsPassword(text) {
                refusePlain(node, reader)
                return nil
            }
            guard plain else { return .text(text) }
            if node.isNull { return .text("") }
            if text == "true" || text == "false" { return .flag(text == "true") }
            if let value = Int64(text) { return .integer(value) }
            if text.first?.isNumber == true || text.hasPrefix("-"), let value = Double(text), value.isFinite {
                return .number(value)
            }
            return .text(text)
        case .sequence(let nodes):
            return .list(
                nodes.enumerated().compactMap { index, node in
                    reader.inside("\(index)", key: nil, node) { template(node, reader) }
                })
        case .mapping(let pairs):
            var values: [String: TemplateValue] = [:]
            for (key, node) in pairs {
                TextRule.header.check(key.text, at: key.span, reader)
                reader.inside(key.text, key: key.span, node) {
                    if let value = template(node, reader) { values[key.text] = value }
                }
            }
            return .map(values)
        }
    }
}
