import BasculeModel
import Foundation
import Synchronization
import Testing

@testable import BasculeResources

@Suite struct SysctlTests {
    /// An apply sets many kernel settings at once: what the kernel refuses is noted of each, by its own thread.
    @Test func refusalsOfManySettingsAtOnceAreAllNoted() throws {
        let workshop = try Workshop()
        let context = workshop.context
        let specs = (0..<40).map { SysctlSpec("kernel.test_\($0)", "1") }
        let failures = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: specs.count) { index in
            do { try SysctlKeeper.noteRefusal(specs[index], context) } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(specs.filter { !SysctlKeeper.isRefused($0, context) }.map(\.key) == [])
    }
}
