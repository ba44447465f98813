import BasculeExecution
import BasculeModel
import Synchronization

/// A journal in memory. It can "lose power": from a given record on nothing is kept any more.
final class MemoryJournal: ExecutionJournal {
    /// The power went.
    struct PowerCut: Error {}

    private struct State {
        var events: [ExecutionEvent]
        var left: Int
        var keepsLast: Bool
    }
    private let state: Mutex<State>

    /// - Parameters:
    ///   - events: what earlier runs wrote.
    ///   - records: how many more it takes before the power goes.
    ///   - keepsLast: whether the record at which the power goes still reaches the disk.
    init(_ events: [ExecutionEvent] = [], records: Int = .max, keepsLast: Bool = false) {
        state = Mutex(State(events: events, left: records, keepsLast: keepsLast))
    }

    var events: [ExecutionEvent] { state.withLock { $0.events } }

    func record(_ event: ExecutionEvent) throws {
        try state.withLock { state in
            guard state.left > 0 else {
                if state.keepsLast { state.events.append(event) }
                state.keepsLast = false
                throw PowerCut()
            }
            state.left -= 1
            state.events.append(event)
        }
    }
}

/// Performs by noting, and fails where it is told to.
final class NotingPerformer: StepPerformer {
    struct Call: Hashable {
        var step: StepID
        var attempt: Int
        var interrupted: Bool
    }
    struct State {
        var calls: [Call] = []
        var undone: [StepID] = []
        var running = 0
        var mostRunning = 0
    }

    private let state = Mutex(State())
    private let failing: Set<StepID>
    private let stuck: Set<StepID>
    private let during: @Sendable (StepID) async -> Void

    init(
        failing: Set<StepID> = [], stuck: Set<StepID> = [],
        during: @escaping @Sendable (StepID) async -> Void = { _ in await Task.yield() }
    ) {
        (self.failing, self.stuck, self.during) = (failing, stuck, during)
    }

    var calls: [Call] { state.withLock { $0.calls } }
    var undone: [StepID] { state.withLock { $0.undone } }
    var mostRunning: Int { state.withLock { $0.mostRunning } }

    func perform(_ step: Step, attempt: Int, interrupted: Bool) async -> StepResult {
        state.withLock { state in
            state.calls.append(Call(step: step.id, attempt: attempt, interrupted: interrupted))
            state.running += 1
            state.mostRunning = max(state.mostRunning, state.running)
        }
        await during(step.id)
        state.withLock { $0.running -= 1 }
        return failing.contains(step.id) ? StepResult(.failed, "told to fail") : StepResult(.done)
    }

    func compensate(_ step: Step, by action: StepAction) async -> StepResult {
        state.withLock { $0.undone.append(step.id) }
        await during(step.id)
        return stuck.contains(step.id) ? StepResult(.failed, "cannot be undone") : StepResult(.done)
    }
}

/// A step that does nothing but stand in a graph.
func step(_ id: StepID, requires: [StepID] = [], undo: Bool = false, action: StepAction = .converge([])) -> Step {
    Step(
        id: id, phase: .freeze, node: "n", title: "step \(id)", action: action, requires: requires,
        reversal: .reversible(seconds: 1),
        estimate: 1, compensation: undo ? .converge([]) : nil)
}

/// `a → b → c`, each undoable.
func chain(_ names: [StepID]) -> [Step] {
    names.indices.map { step(names[$0], requires: $0 == 0 ? [] : [names[$0 - 1]], undo: true) }
}

func execute(
    _ steps: [Step], history: [ExecutionEvent] = [], width: Int = 4, journal: MemoryJournal = MemoryJournal(),
    _ performer: NotingPerformer
) async throws -> SegmentOutcome {
    try await execute(steps, .skipDependents, history: history, width: width, journal: journal, performer)
}

func execute(
    _ steps: [Step], _ onFailure: Segment.OnFailure, history: [ExecutionEvent] = [], width: Int = 4,
    journal: MemoryJournal = MemoryJournal(), _ performer: NotingPerformer
) async throws -> SegmentOutcome {
    try await StepExecutor(
        steps: steps, onFailure: onFailure, history: ExecutionHistory(history), width: width, journal: journal,
        performer: performer
    ).run()
}

/// A generator that gives the same numbers for the same seed.
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// A random acyclic graph in random order, some of its steps failing.
struct RandomGraph {
    var steps: [Step]
    var failing: Set<StepID>

    init(seed: UInt64) {
        var random = Seeded(seed)
        let count = Int.random(in: 2...9, using: &random)
        let names = (0..<count).map { StepID("s\($0)") }
        steps = names.indices.map { index in
            let needs = names[..<index].filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            return step(names[index], requires: needs, undo: Bool.random(using: &random))
        }.shuffled(using: &random)
        failing = Set(names.filter { _ in Int.random(in: 0..<5, using: &random) == 0 })
    }
}

extension ExecutionEvent {
    var startedStep: StepID? { if case .started(let id, _) = self { id } else { nil } }
    var finishedStep: StepID? { if case .finished(let id, _) = self { id } else { nil } }
    var undoneStep: StepID? { if case .compensated(let id, let result) = self, result.isGood { id } else { nil } }
}
