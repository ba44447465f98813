import BasculeModel
import Foundation

/// One YAML file on its way from bytes to diagnostics; the fleet file and the journeys share it.
struct Document {
    let reader: Reader
    /// Nil where the text is empty or no YAML; then the reader knows why.
    let root: YAMLNode?

    init(text: String, path: String) {
        // A giant is refused; its first line is enough to say so.
        let shown = text.utf8.count > YAMLLimits.bytes ? String(text.prefix(200)) : text
        reader = Reader(source: SourceText(text: shown, path: path))
        if let flaw = Self.flaw(of: text) {
            reader.error(flaw.code, flaw.message, at: flaw.span, hint: flaw.hint)
            root = nil
            return
        }
        let composer = YAMLComposer(text: text)
        do throws(YAMLProblem) {
            root = try composer.compose()
        } catch {
            root = nil
            reader.error(error.code, error.message, at: error.span, hint: error.hint)
        }
        for (key, first) in composer.duplicates {
            reader.error(
                .fleetDuplicateKey, "the key \(quoted(key.text)) stands twice in one mapping", at: key.span,
                hint: "it stands first at line \(first.line), column \(first.column)")
        }
        if root == nil, reader.findings.isEmpty {
            reader.error(
                .fleetSyntax, "the file is empty", at: Span.start, hint: "`bascule init` writes one to begin with")
        }
    }

    /// A file's text, or the reason why it cannot be one.
    static func read(path: String) -> Result<String, BasculeError> {
        let place = Place.file(path: path, line: 1, column: 1)
        // Not FileManager's attributes: they ask for the names of owner and group, and whoever serves those.
        guard let isFile = isRegularFile(path) else {
            return .failure(
                BasculeError(
                    .inputOutput, "cannot read \(quoted(path))", at: place,
                    hint: "give the file with -f, or write one with `bascule init`"))
        }
        guard isFile else {
            return .failure(BasculeError(.inputOutput, "\(quoted(path)) is not a file", at: place))
        }
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            let data = try handle.read(upToCount: YAMLLimits.bytes + 1) ?? Data()
            // Bytes that are not UTF-8 become U+FFFD, which the check of the text places and refuses.
            return .success(String(decoding: data, as: UTF8.self))
        } catch {
            return .failure(
                BasculeError(.inputOutput, "cannot read \(quoted(path))", at: place, cause: error.localizedDescription))
        }
    }

    /// Without links; a path that leads nowhere stays as it is.
    static func resolved(_ path: String) -> String {
        guard let whole = realpath(path, nil) else { return path }
        defer { free(whole) }
        return String(cString: whole)
    }

    /// nil where there is nothing.
    static func isRegularFile(_ path: String) -> Bool? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFREG
    }

    private static func flaw(of text: String) -> YAMLProblem? {
        if text.utf8.count > YAMLLimits.bytes {
            return YAMLProblem(
                code: .fleetTooLarge, message: "the file is larger than \(YAMLLimits.bytes >> 20) MiB",
                span: Span.start)
        }
        var mark = Mark(line: 1, column: 1)
        var previous: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            let control = scalar.value < 0x20 && scalar != "\t" && scalar != "\n" && scalar != "\r"
            if control || scalar.value == 0x7f || scalar.value == 0xfffd {
                let what = scalar.value == 0xfffd ? "bytes that are not UTF-8" : "a control character"
                let end = Mark(line: mark.line, column: mark.column + 1)
                return YAMLProblem(
                    code: .fleetSyntax, message: "the file holds \(what)",
                    hint: "write the file as UTF-8 text; in quotes \"\\x1b\" stands for a control character",
                    span: Span(start: mark, end: end))
            }
            if scalar == "\n" || scalar == "\r" {
                if !(scalar == "\n" && previous == "\r") { mark.line += 1 }
                mark.column = 1
            } else {
                mark.column += 1
            }
            previous = scalar
        }
        return nil
    }
}

extension Span {
    /// The first character of the file.
    static let start = Span(start: Mark(line: 1, column: 1), end: Mark(line: 1, column: 2))
}

extension Reader {
    /// How many errors are reported at once; a file with more is not a slip of the pen.
    static let errorLimit = 200

    /// Everything found, by position, with its lines.
    func diagnostics(_ severity: FleetDiagnostic.Severity) -> [FleetDiagnostic] {
        let sorted = findings.enumerated().filter { $0.element.severity == severity }
            .sorted { ($0.element.span.start, $0.offset) < ($1.element.span.start, $1.offset) }
        var seen: Set<FleetDiagnostic> = []
        let own = sorted.prefix(Self.errorLimit).map { diagnostic($0.element) }.filter { seen.insert($0).inserted }
        return own + foreign.filter { $0.severity == severity }.prefix(Self.errorLimit)
    }

    private func diagnostic(_ finding: Finding) -> FleetDiagnostic {
        let start = finding.span.start
        let (line, caret) = source.excerpt(line: start.line, column: start.column)
        return FleetDiagnostic(
            severity: finding.severity,
            error: BasculeError(finding.code, finding.message, at: place(of: finding.span), hint: finding.hint),
            sourceLine: line, column: start.column, length: finding.span.length, caret: caret)
    }
}
