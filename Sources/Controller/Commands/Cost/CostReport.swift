import BasculeFleet
import BasculeModel

/// What the old world costs and the new one will, from the fleet file's own numbers. Pure.
struct CostReport: Encodable, Equatable {
    struct Bill: Encodable, Equatable {
        var name: String
        /// A month, or once.
        var amount: Double
    }

    /// The new world with paid upkeep, or without.
    struct Outcome: Encodable, Equatable {
        var month: Double
        var year: Double
        /// The first year bears what is paid once.
        var firstYear: Double
        /// Negative where the new world costs more.
        var savedMonth: Double
        var savedYear: Double
        /// Months until the savings have paid what is paid once; nil where they never do.
        var breakEven: Double?
    }

    /// The new world on a server of the price list.
    struct Choice: Encodable, Equatable {
        var plan: ServerPlan
        var month: Double
        var savedYear: Double
        /// Whether all that is declared fits its memory; nil where that cannot be told.
        var fits: Bool?
        var isChosen: Bool
    }

    var currency: String
    var before: [Bill]
    var after: [Bill]
    var once: [Bill]
    var hours: Double?
    var maintenanceYear: Double?
    var beforeMonth: Double
    var unpaid: Outcome
    /// nil where no upkeep is declared.
    var paid: Outcome?
    var target: Double?
    var meetsTarget: Bool?
    var servers: [Choice]

    /// - Parameter fits: whether the fleet fits a server of the price list.
    init(_ costs: Costs, fits: (ServerPlan) -> Bool? = { _ in nil }) {
        func bills(_ amounts: [String: Double]) -> [Bill] {
            amounts.map { Bill(name: $0.key, amount: $0.value) }.sorted {
                ($1.amount, $0.name) < ($0.amount, $1.name)
            }
        }
        let chosen = costs.server.flatMap { ServerPlans.plan($0) }
        let others = costs.after.values.reduce(0, +)
        let now = costs.before.values.reduce(0, +)
        let once = costs.once.values.reduce(0, +)
        func outcome(_ month: Double) -> Outcome {
            let saved = now - month
            return Outcome(
                month: month, year: month * 12, firstYear: month * 12 + once, savedMonth: saved,
                savedYear: saved * 12, breakEven: once == 0 ? 0 : saved > 0 ? once / saved : nil)
        }
        let month = others + (chosen?.price ?? 0)
        currency = costs.currency
        before = bills(costs.before)
        after = bills(costs.after) + (chosen.map { [Bill(name: $0.title, amount: $0.price)] } ?? [])
        self.once = bills(costs.once)
        beforeMonth = now
        unpaid = outcome(month)
        let upkeep = costs.maintenance.map { $0.hours * $0.rate }
        hours = costs.maintenance?.hours
        maintenanceYear = upkeep.map { $0 * 12 }
        paid = upkeep.map { outcome(month + $0) }
        target = costs.target
        meetsTarget = costs.target.map { month <= $0 }
        servers = ServerPlans.all.sorted { ($0.price, $0.id) < ($1.price, $1.id) }.map { plan in
            let total = chosen == nil ? month : others + plan.price
            return Choice(
                plan: plan, month: total, savedYear: (now - total) * 12, fits: fits(plan),
                isChosen: plan.id == chosen?.id)
        }
    }
}

/// The report for people.
struct CostView {
    let report: CostReport

    var lines: [String] {
        let unit = report.currency
        var out = [row("before", "a month", "after", "a month")]
        for index in 0..<max(report.before.count, report.after.count) {
            let left = index < report.before.count ? report.before[index] : nil
            let right = index < report.after.count ? report.after[index] : nil
            out.append(
                row(
                    left?.name ?? "", left.map { Self.money($0.amount) } ?? "", right?.name ?? "",
                    right.map { Self.money($0.amount) } ?? ""))
        }
        let unpaid = report.unpaid
        out.append(row("sum", Self.money(report.beforeMonth), "sum", "\(Self.money(unpaid.month)) \(unit)"))
        out.append("")
        out += outcome("kept by yourself", unpaid, unit)
        if let paid = report.paid, let hours = report.hours, let year = report.maintenanceYear {
            out += outcome(
                "with paid maintenance (\(Self.money(hours)) h a month, \(Self.money(year)) \(unit) a year)", paid, unit
            )
        }
        for bill in report.once {
            out.append("paid once: \(Terminal.escape(bill.name)) \(Self.money(bill.amount)) \(unit)")
        }
        if let target = report.target, let meets = report.meetsTarget {
            let verdict = meets ? Terminal.paint("met", .green) : Terminal.paint("not met", .red)
            out.append("target: at most \(Self.money(target)) \(unit) a month, \(verdict)")
        }
        return out + [""] + Self.prices(report.servers, unit, withTotals: report.servers.contains(where: \.isChosen))
    }

    private func outcome(_ title: String, _ outcome: CostReport.Outcome, _ unit: String) -> [String] {
        let saved =
            outcome.savedMonth >= 0
            ? "saves \(Self.money(outcome.savedMonth)) a month, \(Self.money(outcome.savedYear)) a year"
            : "costs \(Self.money(-outcome.savedMonth)) more a month, \(Self.money(-outcome.savedYear)) more a year"
        let even =
            switch outcome.breakEven {
            case 0?: "at once"
            case let months?: "after \(months.rounded(to: 1)) months"
            case nil: "never"
            }
        return [
            "\(title): \(saved) (\(unit)); \(Self.money(outcome.firstYear)) in the first year, \(Self.money(outcome.year)) in each later one; breaks even \(even)"
        ]
    }

    /// The price list, each price with its date.
    static func prices(_ choices: [CostReport.Choice], _ unit: String, withTotals: Bool) -> [String] {
        ["server                 a month  size                          priced"]
            + choices.map { choice in
                let plan = choice.plan
                let size = "\(plan.cpus) vCPU, \(plan.memoryGB) GB, \(plan.diskGB) GB disk"
                var text =
                    pad(plan.title, 21) + "  " + pad(money(plan.price), 7) + "  " + pad(size, 28) + "  \(plan.date)"
                if withTotals {
                    text += "  in all \(money(choice.month)) \(unit) a month"
                }
                if let fits = choice.fits, !fits { text += "  " + Terminal.paint("too small for this fleet", .red) }
                if choice.isChosen { text += "  ← chosen" }
                return text
            }
    }

    private func row(_ name: String, _ amount: String, _ other: String, _ second: String) -> String {
        let text =
            Self.pad(Terminal.escape(name), 24) + Self.pad(amount, 10) + Self.pad(Terminal.escape(other), 24) + second
        return text.replacing(#/ +$/#, with: "")
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    /// `71`, `4.15`
    static func money(_ amount: Double) -> String {
        let cents = amount.rounded(to: 2)
        return cents.hasSuffix(".00") ? String(cents.dropLast(3)) : cents
    }
}
