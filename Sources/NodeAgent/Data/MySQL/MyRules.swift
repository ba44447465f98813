import BasculeModel

/// The fleet file's mapping rules as one column sees them: its own, else its exact type's, else its type's.
struct MyRules {
    let words: [String: [String]]

    init(_ rules: [String: String]) {
        words = rules.reduce(into: [:]) { words, rule in
            words[rule.key.lowercased()] = rule.value.split(separator: " ").map(String.init)
        }
    }

    /// Of a column: `table.column`, then `tinyint(1) unsigned`, then `tinyint unsigned`, then `tinyint`.
    func rule(table: String, _ column: MyColumn) -> MyRule {
        let exact = column.columnType.lowercased()
        let isLabelled = column.dataType == "enum" || column.dataType == "set"
        var selectors = ["\(table).\(column.name)".lowercased()]
        if column.isJSON { selectors.append("json") } else if !isLabelled { selectors.append(exact) }
        if column.isUnsigned { selectors.append("\(column.dataType) unsigned") }
        selectors.append(column.dataType)
        if column.isText { selectors.append("collation \(column.collation)") }
        return MyRule(selectors.lazy.compactMap { self.words[$0] }.first ?? [])
    }

    /// Rules for columns and tables that do not exist are mistakes.
    func strangers(_ tables: [MyTable]) -> [String] {
        let known = Set(tables.flatMap { table in table.columns.map { "\(table.name).\($0.name)".lowercased() } })
        return words.keys.filter { $0.contains(".") && !known.contains($0) }.sorted()
    }
}

/// The words for one column.
struct MyRule {
    /// What it becomes; nil for the default.
    var type: String?
    /// The zone in which a DATETIME's wall clock is read.
    var zone: String?
    private var words: Set<String>

    init(_ words: [String]) {
        self.words = Set(words)
        type = words.first { MySQLRuleWords.types.contains($0) }
        if type == "timestamptz" { zone = words.first { $0 == "UTC" || $0.contains("/") } }
    }

    func says(_ word: String) -> Bool { words.contains(word) }
}
