import BasculeModel
import BasculePostgres
import Testing

struct QuotingTests {
    @Test(arguments: [
        ("plain", "\"plain\""), ("we\"ird", "\"we\"\"ird\""), ("a;drop table x--", "\"a;drop table x--\""),
        // A combining mark joins the quote into one Character: the byte must be doubled all the same.
        ("q\"\u{301}", "\"q\"\"\u{301}\""),
    ])
    func identifiers(name: String, quoted: String) {
        #expect(Array(PGQuote.identifier(name).utf8) == Array(quoted.utf8))
    }

    @Test(arguments: [("it's", "'it''s'"), ("a\\b", " E'a\\\\b'"), ("", "''")])
    func literals(text: String, quoted: String) { #expect(PGQuote.literal(text) == quoted) }

    @Test func arrays() { #expect(PGQuote.array(["a", "b\"c", "d\\e", "{,}"]) == #"{"a","b\"c","d\\e","{,}"}"#) }

    @Test func names() {
        #expect(PGQuote.shown("public", "orders_2") == "public.orders_2")
        #expect(PGQuote.shown("public", "Orders") == "public.\"Orders\"")
        #expect(PGQuote.shown("public", "2x") == "public.\"2x\"")
        #expect(PGQuote.shown("public", "") == "public.\"\"")
    }

    @Test func errorsCarryTheState() {
        let error = PGError(state: "42501", message: "permission denied", isConnection: false)
        let shown = error.basculeError("writing", at: .thing("t"))
        #expect(shown.code == .postgresStatement)
        #expect(shown.cause?.contains("42501") == true)
        #expect(error.isRefusedRight)
    }

    @Test(arguments: [
        (#"FATAL:  password authentication failed for user "shop""#, "user, password"),
        (#"FATAL:  database "shopp" does not exist"#, "does not exist on that server"),
        (#"FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", SSL encryption"#, "pg_hba.conf"),
        (#"FATAL:  pg_hba.conf rejects connection for host "h", user "u", database "d", no encryption"#, "sslmode"),
        ("server does not support SSL, but SSL was required", "sslmode"), ("No route to host", "reachable"),
    ])
    func aRefusedLoginHasTheHintOfItsReason(message: String, hint: String) {
        let error = PGError(state: "08000", message: message, isConnection: true).basculeError("connecting")
        #expect(error.code == .postgresConnection && error.hint?.contains(hint) == true, "\(error)")
    }

    @Test func aMalformedConnectionStringIsNotRepeated() {
        let failure = #expect(throws: BasculeError.self) {
            try PGConnection(.conninfo(Secret("postgresql://u:topsecret@[bad/x")))
        }
        #expect(failure.map { !"\($0)".contains("topsecret") } == true)
    }
}
