import Testing

@testable import BasculeAgentCore

/// Memory goes back once nobody has asked for anything for a while, once, and only code does.
struct IdleMemoryTests {
    @Test func givesBackOnceAfterTheLastWork() {
        let memory = IdleMemory(patience: 2)
        #expect((0..<2).map { _ in memory.tick() } == [0, 0])
        #expect(memory.tick() > 1 << 20)
        #expect((0..<5).map { _ in memory.tick() }.allSatisfy { $0 == 0 })
        for _ in 0..<5 {
            memory.worked()
            #expect(memory.tick() == 0)
        }
        #expect(memory.tick() == 0)
        #expect(memory.tick() > 1 << 20)
    }

    @Test func givesBackAgainWhereTooMuchIsThere() {
        #expect(IdleMemory.resident() > 1 << 20)
        let greedy = IdleMemory(patience: 1, interval: 3, bytes: 1)
        #expect((0..<8).map { _ in greedy.tick() > 0 } == [false, true, false, false, true, false, false, true])
        let content = IdleMemory(patience: 1, interval: 3, bytes: .max)
        #expect((0..<8).map { _ in content.tick() > 0 } == [false, true] + Array(repeating: false, count: 6))
    }

    @Test func noticesWorkBetweenTwoTicks() {
        let memory = IdleMemory(patience: 2)
        memory.tick()
        memory.tick()
        memory.worked()
        #expect((0..<2).map { _ in memory.tick() } == [0, 0])
        #expect(memory.tick() > 0)
    }

    @Test(
        arguments: [
            ("55d0a000-55d0b000 r-xp 00001000 08:01 77   /usr/bin/a", 0x55d0_a000..<0x55d0_b000),
            ("55d0a000-55d0b000 r-xp 00001000 08:01 77   /usr/bin/a (deleted)", 0x55d0_a000..<0x55d0_b000),
            ("55d0a000-55d0b000 r--p 00001000 08:01 77   /usr/bin/a", nil),
            ("55d0a000-55d0b000 r--p 00000000 08:01 77   /usr/bin/a", 0x55d0_a000..<0x55d0_b000),
            ("55d0a000-55d0b000 r--s 00000000 08:01 77   /usr/bin/a", nil),
            ("55d0a000-55d0b000 rw-p 00000000 08:01 77   /usr/bin/a", nil),
            ("55d0a000-55d0b000 rwxp 00001000 08:01 77   /usr/bin/a", nil),
            ("55d0a000-55d0b000 r-xs 00001000 08:01 77   /usr/bin/a", nil),
            ("7ffc0000-7ffc2000 r-xp 00000000 00:00 0    [vdso]", nil),
            ("55d0a000-55d0b000 r-xp 00000000 00:00 0", nil),
            ("", nil),
        ] as [(String, Range<UInt>?)])
    func onlyCodeFromAFile(line: String, expected: Range<UInt>?) {
        #expect(IdleMemory.code(in: line) == expected)
    }
}
