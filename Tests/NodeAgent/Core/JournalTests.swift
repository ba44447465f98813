import BasculeModel
import Glibc
import Testing

@testable import BasculeAgentCore

@Suite struct JournalTests {
    let folder: Folder
    var path: String { "\(folder.path)/journal" }

    init() throws { folder = try Folder() }

    private func open() throws -> AgentJournal { try AgentJournal(path: path, clock: { 12.5 }) }

    private func write(_ count: Int) throws {
        let journal = try open()
        for index in 0..<count {
            _ = try journal.append(
                .note("record \(index) with \"quotes\", ü and \n a line"), to: index.isMultiple(of: 2) ? "even" : "odd")
        }
    }

    private func bytes() throws -> [UInt8] { try DurableFile.read(path) ?? [] }
    private func put(_ bytes: [UInt8]) throws { try DurableFile.write(bytes, to: path) }

    @Test func countsFromOneAndGoesOnAfterAnotherOpening() throws {
        try write(3)
        let journal = try open()
        #expect(journal.lastSequence == 3)
        let record = try journal.append(.ended(SegmentOutcome(.converged, results: [:])), to: "odd")
        #expect(
            record
                == JournalRecord(
                    sequence: 4, time: 12.5, segment: "odd", event: .ended(SegmentOutcome(.converged, results: [:]))))
        #expect(try journal.records().map(\.sequence) == [1, 2, 3, 4])
        #expect(try open().records().last == record)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func recordsFromOneOnOfOneSegment() throws {
        try write(7)
        let journal = try open()
        #expect(try journal.records(from: 3).map(\.sequence) == [3, 4, 5, 6, 7])
        #expect(try journal.records(from: 3, limit: 2).map(\.sequence) == [3, 4])
        #expect(try journal.records(from: 3, of: "even").map(\.sequence) == [3, 5, 7])
        #expect(try journal.records(from: 4, limit: 1, of: "even").map(\.sequence) == [5])
        #expect(try journal.records(from: 8).isEmpty)
        #expect(try journal.records(of: "nobody").isEmpty)
    }

    /// What a power cut leaves of the last record: any part of it.
    @Test func aTornTailIsCutOffAtEveryByte() throws {
        try write(3)
        let whole = try bytes()
        let lastLine = try #require(whole.dropLast().lastIndex(of: 0x0A)) + 1
        for length in lastLine..<whole.count {
            try put(Array(whole[..<length]))
            let journal = try open()
            #expect(journal.lastSequence == 2, "cut at \(length)")
            #expect(try bytes().count == lastLine)
            #expect(try journal.append(.note("after"), to: "even").sequence == 3)
            #expect(try open().records().map(\.sequence) == [1, 2, 3])
        }
    }

    /// Blocks reach the disk in any order: the file may have its full length and zeros in the last record.
    @Test func aTailOfZerosIsCutOff() throws {
        try write(3)
        let whole = try bytes()
        let lastLine = try #require(whole.dropLast().lastIndex(of: 0x0A)) + 1
        try put(whole[..<lastLine] + Array(repeating: 0, count: whole.count - lastLine))
        #expect(try open().lastSequence == 2)
        try put(whole[..<lastLine] + Array(repeating: 0, count: whole.count - lastLine - 1) + [0x0A])
        #expect(try open().lastSequence == 2)
    }

    @Test func damageBeforeTheLastRecordIsRefusedAtEveryByteAndTheFileLeftAlone() throws {
        try write(3)
        let whole = try bytes()
        let secondLast = try #require(whole.dropLast().lastIndex(of: 0x0A))
        for index in 0..<secondLast where whole[index] != 0x0A {
            var damaged = whole
            damaged[index] ^= 0x01
            try put(damaged)
            let error = #expect(throws: BasculeError.self, "byte \(index)") { try open() }
            #expect(error?.code == .inputOutput)
            #expect(try bytes() == damaged)
        }
    }

    @Test func oneRecordIsOneLineWhateverItsText() throws {
        try write(4)
        #expect(try bytes().count { $0 == 0x0A } == 4)
    }

    @Test func aNewJournalIsEmpty() throws {
        let journal = try open()
        #expect(journal.lastSequence == 0)
        #expect(try journal.records().isEmpty)
    }

    @Test func knownChecksum() {
        #expect(CRC32.text(of: Array("123456789".utf8)) == "cbf43926")
        #expect(CRC32.text(of: []) == "00000000")
    }
}

@Suite struct DurableFileTests {
    let folder: Folder
    init() throws { folder = try Folder() }

    @Test func wholeOrNothing() throws {
        let path = "\(folder.path)/file"
        #expect(try DurableFile.read(path) == nil)
        try DurableFile.write([1, 2, 3], to: path, mode: 0o640)
        try DurableFile.write([4], to: path, mode: 0o640)
        #expect(try DurableFile.read(path) == [4])
        #expect(!folder.exists("file.new"))
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
    }

    @Test func nothingIsWrittenThroughALink() throws {
        try DurableFile.write([1], to: "\(folder.path)/victim")
        #expect(symlink("\(folder.path)/victim", "\(folder.path)/file.new") == 0)
        #expect(code { try DurableFile.write([2], to: "\(folder.path)/file") } == .inputOutput)
        #expect(try DurableFile.read("\(folder.path)/victim") == [1])
    }

    @Test func aFileThatIsNotUnderstoodIsRefused() throws {
        let path = "\(folder.path)/file"
        try DurableFile.write(Array("{".utf8), to: path)
        #expect(code { try DurableFile.load([Int].self, from: path) } == .inputOutput)
        try DurableFile.save([1, 2], to: path)
        #expect(try DurableFile.load([Int].self, from: path) == [1, 2])
        #expect(try DurableFile.load([Int].self, from: path + "-not-there") == nil)
    }

    @Test func aFullDiskIsSaid() {
        #expect(code { try DurableFile.writeAll([1], to: Glibc.open("/dev/full", O_WRONLY), path: "x") } == .diskFull)
    }
}
