import BasculeModel
import FoundationEssentials
import Glibc

/// What was reported and left alone, kept over a restart: the grace after a login session must not end with the agent.
enum DriftNotes {
    private struct Note: Codable {
        var resource: ResourceID
        var since: Double
        var told: DriftReason
        var sessions: [String]
    }

    static func save(_ trackers: [ResourceID: Healing.Tracker], to path: String) {
        let notes = trackers.compactMap { id, tracker -> Note? in
            guard let since = tracker.since, let told = tracker.told else { return nil }
            return Note(resource: id, since: since.wall, told: told, sessions: tracker.sessions.sorted())
        }
        // Nothing to note needs no file; one that a power cut brings back is looked at and forgotten again.
        if notes.isEmpty {
            unlink(path)
            return
        }
        do { try DurableFile.save(notes.sorted { $0.resource < $1.resource }, to: path) } catch {
            StandardError.write(line: "the differences could not be noted: \(error)")
        }
    }

    /// Sessions that are gone meanwhile count as ended now: their grace begins again.
    static func load(_ path: String, into state: inout Healing.State) {
        let notes = ((try? DurableFile.load([Note].self, from: path)) ?? nil) ?? []
        let now = (wall: WallClock.now(), monotonic: WallClock.monotonic())
        var gone: Set<String> = []
        for note in notes where state.set.entries[note.resource] != nil {
            var tracker = Healing.Tracker()
            tracker.since = (note.since, now.monotonic - max(0, now.wall - note.since))
            tracker.told = note.told
            tracker.sessions = Set(note.sessions)
            state.trackers[note.resource] = tracker
            gone.formUnion(tracker.sessions.subtracting(state.sessions.open))
        }
        if !gone.isEmpty { state.sessions.remember(ended: gone, at: now.wall) }
    }
}
