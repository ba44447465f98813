import BasculeModel
import BasculeMySQL
import Testing

@Suite struct AddressTests {
    @Test func anAddressIsReadAndNeverShown() throws {
        let address = try MyAddress(
            url: Secret("mysql://ap%40p:p%3Aw%2F@db.example:3307/shop%20one?connection_limit=5&ca=/etc/own.pem"))
        #expect(address.host == "db.example" && address.port == 3307 && address.database == "shop one")
        #expect(address.user == "ap@p" && address.password.reveal() == "p:w/")
        #expect(address.tls == .verified && address.authorities == "/etc/own.pem" && !address.isExposed)
        #expect("\(address)" == "db.example:3307/shop one")
        #expect(try MyAddress(url: Secret("mariadb://u@localhost/d")).tls == .off)
        #expect(try MyAddress(url: Secret("mysql://u:p@h/d?tls=off")).isExposed)
        #expect(try MyAddress(url: Secret("mysql://u:p@[::1]:99/d")).host == "::1")
        #expect(try MyAddress(url: Secret("mysql://u:p@x/d?socket=/run/s")).socket == "/run/s")
    }

    @Test(arguments: [
        "mysql://u:hidden@h", "mysql://u:hidden@h/", "postgres://u:hidden@h/d", "mysql://u:hidden@h:0/d",
        "mysql://u:hid%zzden@h/d", "mysql://u:hidden@h/d?tls=maybe", "hidden", "mysql://u:hidden@/d",
    ]) func whatIsNoAddressIsRefusedWithoutBeingRepeated(_ text: String) throws {
        let error = #expect(throws: BasculeError.self) { try MyAddress(url: Secret(text)) }
        #expect(error?.code == "mysql-address-invalid")
        #expect("\(error as Any)".contains("hid") == false)
    }
}

extension MySQLToPostgres {
    @Suite struct TLSTests {
        @Test func aServerIsBelievedOnlyWithItsCertificate() throws {
            let server = try Servers.source.get()
            func cipher(_ host: String, _ query: String) throws -> String {
                let url = Secret("mysql://root@\(host):\(server.port)/mysql?\(query)")
                let session = try MyConnection(try MyAddress(url: url))
                return try session.query("SHOW STATUS LIKE 'Ssl_cipher'").first?[1] ?? ""
            }
            #expect(try cipher("localhost", "tls=verified&ca=\(server.certificate)").contains("_"))
            #expect(try cipher("localhost", "tls=unverified").contains("_"))
            #expect(try cipher("localhost", "tls=off").isEmpty)
            for (host, query) in [
                // Nobody's authority, and the name of another machine.
                ("localhost", "tls=verified"), ("127.0.0.1", "tls=verified&ca=\(server.certificate)"),
            ] {
                let error = #expect(throws: BasculeError.self) { try cipher(host, query) }
                #expect(error?.code == "mysql-connection" && error?.hint?.contains("certificate") == true, "\(host)")
            }
        }
    }
}
