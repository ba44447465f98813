import BasculeModel
import BasculeNet
import Synchronization

/// What makes systemd read its files again. A reload of a full node takes a tenth of a second, and steps run side by
/// side: whoever waits while another one's reload runs has its links changed together with the others', and shares the
/// next reload with them.
enum SystemdChanges {
    private struct Wish {
        var ticket: Int
        var enable: [String]
        var disable: [String]
    }

    private struct Queue {
        var last = 0
        /// Who is about to wish for something.
        var expected = 0
        var waiting: [Wish] = []
        /// What came of wishes that somebody else carried out.
        var ended: [Int: BasculeError?] = [:]
    }

    private static let queue = Mutex(Queue())

    /// Finds out what is to be wished for, and wishes it: nothing where `body` gives nil.
    static func prepare(_ body: () throws -> (enable: [String], disable: [String])?) throws {
        queue.withLock { $0.expected += 1 }
        let wish = Result { try body() }
        queue.withLock { $0.expected -= 1 }
        if let wish = try wish.get() { try take(enable: wish.enable, disable: wish.disable) }
    }

    /// Enables and disables units, and returns once systemd has read all files as they were when this was called.
    /// - Throws: `unit-failed`, for these units alone.
    static func take(enable: [String] = [], disable: [String] = []) throws {
        let ticket = queue.withLock { queue in
            queue.last += 1
            queue.waiting.append(Wish(ticket: queue.last, enable: enable, disable: disable))
            return queue.last
        }
        // Steps that waited for the same reload come on together: the first of them waits for the others, a moment.
        let end = Deadline.seconds(0.2)
        while !end.passed, queue.withLock({ $0.expected > 0 && $0.ended[ticket] == nil }) {
            Monotonic.sleep(.milliseconds(2))
        }
        try Systemctl.links.withLock { _ in
            let (ended, batch) = queue.withLock { queue -> (BasculeError??, [Wish]) in
                if let ended = queue.ended.removeValue(forKey: ticket) { return (.some(ended), []) }
                defer { queue.waiting = [] }
                return (.none, queue.waiting)
            }
            if let ended {
                if let error = ended { throw error }
                return
            }
            let failures = carryOut(batch)
            queue.withLock { queue in
                for wish in batch where wish.ticket != ticket {
                    queue.ended.updateValue(failures[wish.ticket], forKey: wish.ticket)
                }
            }
            if let error = failures[ticket] { throw error }
        }
    }

    private static func carryOut(_ batch: [Wish]) -> [Int: BasculeError] {
        var failures: [Int: BasculeError] = [:]
        for (verb, names) in [("enable", \Wish.enable), ("disable", \Wish.disable)] {
            let all = batch.flatMap { $0[keyPath: names] }
            guard !all.isEmpty, failure([verb, "--no-reload", "--"] + all) != nil else { continue }
            // Whose was it?
            for wish in batch where !wish[keyPath: names].isEmpty {
                if let error = failure([verb, "--no-reload", "--"] + wish[keyPath: names]) {
                    failures[wish.ticket] = error
                }
            }
        }
        if let error = failure(["daemon-reload"]) {
            for wish in batch { failures[wish.ticket] = failures[wish.ticket] ?? error }
        }
        return failures
    }

    private static func failure(_ words: [String]) -> BasculeError? {
        do {
            try Systemctl.require(words)
            return nil
        } catch { return BasculeError.wrapping(error, code: .unitFailed, "systemctl \(words[0]) failed") }
    }
}
