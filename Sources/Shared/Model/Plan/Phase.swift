/// A named stretch of a plan. The order of the cases is the order in which phases run.
package enum Phase: String, Hashable, Codable, Sendable, CaseIterable, Comparable {
    case prepare, provision, install, copy, deploy
    case rehearseSmoke = "rehearse-smoke"
    case freeze, sync, validate, smoke, decide
    case `switch`, open, notify, watch, finish

    private var rank: Int { Phase.allCases.firstIndex(of: self) ?? 0 }
    package static func < (left: Phase, right: Phase) -> Bool { left.rank < right.rank }

    /// From *freeze* through *watch* the target's agent conducts, whoever else is there.
    package var isConducted: Bool { self >= .freeze && self <= .watch }

    /// What it is for, in a few words for the plan.
    package var purpose: String {
        switch self {
        case .prepare: "look at the sources before anything is touched"
        case .provision: "create nodes, install the agent"
        case .install: "packages, configuration, services"
        case .copy: "copy the data while the old system serves"
        case .deploy: "build and start the apps against the copy"
        case .rehearseSmoke: "walk the customer's path against the copy"
        case .freeze: "maintenance page, and no writer left at the sources"
        case .sync: "copy what changed since the first copy"
        case .validate: "both sides read again and proved equal"
        case .smoke: "walk the customer's path on the new system"
        case .decide: "go or no-go, with all evidence"
        case .switch: "DNS and the old edge point to the new system"
        case .open: "T0: the new system takes customers' writes"
        case .notify: "tell who has to know"
        case .watch: "the declared criteria, for the declared time"
        case .finish: "restore TTLs, write the report"
        }
    }
}
