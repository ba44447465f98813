import Glibc
import Testing

@testable import BasculeAgentCore

/// inotify tells of paths whatever becomes of the directories that they are in.
struct FileWatchTests {
    private let folder: Folder
    private let watch: FileWatch
    private var path: String { folder.path }

    init() throws {
        folder = try Folder()
        watch = try FileWatch()
    }

    private func make(_ name: String) throws { try DurableFile.makeDirectory("\(path)/\(name)") }
    private func write(_ name: String) throws { try DurableFile.write([1], to: "\(path)/\(name)") }

    /// Everything that was told since the last look.
    private func told() -> Set<String> {
        usleep(2000)
        return watch.news().keys
    }

    @Test func changedDeletedAndMadeAgain() throws {
        try make("d")
        try write("d/a")
        watch.watch(["\(path)/d/a": ["a"], "\(path)/d/b": ["b"]])
        #expect(told().isEmpty)
        try write("d/a")
        #expect(told() == ["a"])
        unlink("\(path)/d/a")
        #expect(told() == ["a"])
        try write("d/b")
        #expect(told() == ["b"])
        chmod("\(path)/d/b", 0o777)
        #expect(told() == ["b"])
        try write("d/other")
        #expect(told().isEmpty, "what nobody asked for")
    }

    @Test func aDirectoryThatIsReplacedMovedOrDeleted() throws {
        try make("one/two")
        try write("one/two/a")
        watch.watch(["\(path)/one/two/a": ["a"], "\(path)/one": ["one"]])
        rename("\(path)/one/two", "\(path)/one/old")
        #expect(told() == ["a"])
        try make("one/two")
        #expect(told() == ["a"])
        try write("one/two/a")
        #expect(told() == ["a"], "the new directory is watched")
        try write("one/old/a")
        #expect(told().isEmpty, "the old one no more")
        rename("\(path)/one", "\(path)/gone")
        #expect(told() == ["a", "one"])
        try make("one/two")
        _ = told()
        try write("one/two/a")
        #expect(told() == ["a"])
        for name in ["one/two/a", "one/two", "one"] { remove("\(path)/\(name)") }
        #expect(told() == ["a", "one"])
        try make("one/two")
        #expect(told() == ["a", "one"])
        try write("one/two/a")
        #expect(told() == ["a"])
    }

    @Test func everyNameOfADirectory() throws {
        try make("all")
        watch.watch(["\(path)/all/": ["all"]])
        try write("all/whatever")
        #expect(told() == ["all"])
    }

    @Test func twoPathsToOneDirectory() throws {
        try make("real")
        symlink("\(path)/real", "\(path)/link")
        watch.watch(["\(path)/real/a": ["real"], "\(path)/link/a": ["link"]])
        try write("real/a")
        #expect(told() == ["real", "link"])
        watch.watch(["\(path)/link/a": ["link"]])
        _ = told()
        try write("real/a")
        #expect(told() == ["link"])
    }

    @Test func moreThanTheQueueHolds() throws {
        try make("many")
        watch.watch(["\(path)/many/a": ["a"], "\(path)/many/b": ["b"]])
        for number in 0..<20_000 {
            let name = "\(path)/many/\(number % 2 == 0 ? "x" : "y")"
            close(open(name, O_WRONLY | O_CREAT, 0o600))
            unlink(name)
        }
        let news = watch.news()
        #expect(news.overflow && news.keys == ["a", "b"])
        try write("many/a")
        #expect(told() == ["a"], "it goes on afterwards")
    }

    @Test func whatIsNoLongerWantedIsNotTold() throws {
        try make("d")
        watch.watch(["\(path)/d/a": ["a"]])
        watch.watch([:])
        try write("d/a")
        #expect(told().isEmpty)
    }
}
