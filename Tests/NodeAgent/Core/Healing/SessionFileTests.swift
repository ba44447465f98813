import Testing

@testable import BasculeAgentCore

/// Who counts as logged in, and for how long a change of theirs is left alone.
struct SessionFileTests {
    @Test(arguments: [
        ("UID=0\nUSER=root\nACTIVE=1\nSTATE=active\nREMOTE=1\nTYPE=tty\nCLASS=user\nTTY=pts/0\n", true),
        ("UID=0\nUSER=root\nSTATE=online\nCLASS=user-early\n", true),
        ("UID=0\nUSER=root\nSTATE=active\n", true),
        ("UID=0\nUSER=root\nSTATE=closing\nCLASS=user\n", false),
        ("UID=998\nUSER=bascule\nSTATE=active\nCLASS=user\n", false),
        ("UID=0\nUSER=root\nSTATE=active\nCLASS=manager\n", false),
        ("UID=113\nUSER=gdm\nSTATE=active\nCLASS=greeter\n", false),
        ("", false),
    ])
    func whoIsSomebody(text: String, expected: Bool) { #expect(LoginSessions.isPerson(text) == expected) }

    @Test func theGraceBeginsWithTheEndOfTheLastSession() {
        var sessions = LoginSessions(open: ["1"])
        sessions.look(at: 100, ["1", "2"])
        let seen = sessions.witnesses(at: 100)
        #expect(seen == ["1", "2"] && sessions.graceEnds(seen, 600) == nil)
        sessions.look(at: 200, ["2"])
        #expect(sessions.graceEnds(seen, 600) == nil)
        sessions.look(at: 300, ["3"])
        #expect(sessions.graceEnds(seen, 600) == 900)
        #expect(sessions.witnesses(at: 302) == ["2", "3"], "a command over ssh ends before its effect is seen")
        #expect(sessions.witnesses(at: 310) == ["3"])
    }

    @Test(
        arguments: [
            ("90s", 90.0), ("30m", 1800), ("2h", 7200), ("1d", 86_400), ("0s", nil), ("2", nil), ("-1h", nil),
            ("h", nil),
            ("2 h", nil), ("9999999999d", nil),
        ] as [(String, Double?)])
    func times(text: String, expected: Double?) { #expect(Console.seconds(text) == expected) }
}
