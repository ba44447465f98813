import BasculeModel

/// What the old world costs and what the new one will.
package struct Costs: Sendable, Equatable {
    /// ISO 4217 code. Default EUR.
    package var currency = "EUR"
    /// Amount a month by name of the bill.
    package var before: [String: Double] = [:]
    package var after: [String: Double] = [:]
    /// A server of the price list, whose price joins `after`.
    package var server: String?
    /// Paid upkeep of the new world; nil where whoever keeps it is paid anyway.
    package var maintenance: Maintenance?
    /// Paid once: training, the move itself.
    package var once: [String: Double] = [:]
    /// What the new world may cost a month at most.
    package var target: Double?
    package init() {}

    /// Hours a month, and the price of one.
    package struct Maintenance: Sendable, Equatable {
        package var hours = 0.0
        package var rate = 0.0
        package init() {}
    }
}

extension Costs: Declared {
    static var about: String { "What it costs, before and after" }
    static var fields: [Field<Costs>] {
        let bills = Codec<[String: Double]>.map(.bill, { $0 }, .amount)
        return [
            .key("currency", \.currency, .currency, "ISO 4217 code"),
            .key("before", \.before, bills, "What the old world costs a month, by bill"),
            .key("after", \.after, bills, "What the new one costs a month, by bill"),
            .key(
                "server", \.server, .serverPlan,
                "A server of the price list (`bascule cost --prices`), whose price joins `after`"),
            .key("maintenance", \.maintenance, .object, "Paid upkeep of the new world"),
            .key("once", \.once, bills, "What is paid once, by bill: training, the move itself"),
            .key("target", \.target, .amount, "What the new world may cost a month at most"),
        ]
    }
}

extension Codec where Value == String {
    /// A server of the price list, by its id.
    static var serverPlan: Codec {
        let known = ServerPlans.all.map(\.id).joined(separator: ", ")
        return .scalar(
            "a server of the price list", hint: "it has: \(known); any other server is a bill under after",
            parse: { ServerPlans.plan($0)?.id })
    }
}

extension Costs.Maintenance: Declared {
    static var about: String { "Paid upkeep" }
    static var fields: [Field<Costs.Maintenance>] {
        [
            .key("hours", \.hours, .amount, required: true, "Hours a month"),
            .key("rate", \.rate, .amount, required: true, "What an hour costs"),
        ]
    }
}

extension Codec where Value == String {
    static var currency: Codec {
        .scalar(
            "a currency code such as EUR", pattern: "^[A-Z]{3}$", show: { .text($0) },
            parse: { $0.utf8.count == 3 && $0.utf8.allSatisfy { (65...90).contains($0) } ? $0 : nil })
    }
}
