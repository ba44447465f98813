/// What the tests' fleet files are made of.
enum Sample {
    static let packages = ["bc", "dc", "less", "lsof", "psmisc", "pv", "time", "tree"]
    /// The 44 entries: a list of 8 packages, 5 users, 10 directories, 20 templated files and 8 units, on every node.
    /// - Parameter item: what the files say; another number is another content.
    static func entries(item: Int = 0) -> String {
        var lines = ["  - {on: all, package: [\(packages.joined(separator: ", "))]}"]
        lines += (0..<5).map { "  - {on: all, user: svc\($0), system: true, groups: [crew]}" }
        lines += (0..<10).map {
            "  - {on: all, directory: /srv/it/d\($0), owner: svc\($0 % 5), group: crew, mode: \"0750\"}"
        }
        lines += (0..<20).map {
            "  - {on: all, file: /srv/it/d\($0 % 10)/f\($0).conf, template: item.conf, vars: {number: \($0), item: \(item)}, owner: svc\($0 % 5), mode: \"0640\"}"
        }
        lines += (0..<8).map { number in
            let more =
                number == 0
                ? ", restartOn: [/srv/it/d0/f0.conf]"
                : number == 1 ? ", dropIns: {limits: \"[Service]\\nLimitNOFILE=4096\\n\"}" : ""
            return
                "  - {on: all, unit: it\(number).service, state: running, enabled: \(number < 4), content: \"\(unit(number))\"\(more)}"
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func unit(_ number: Int) -> String {
        "[Unit]\\nDescription=Test \(number)\\n[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n"
    }

    /// From the node `old`, a foreign system, into the database `shop` of the node `new`; the sources follow.
    static func oneMove(from image: String) -> String {
        """
        nodes:
          old: {provider: lab, image: \(image)}
          new: {provider: lab, image: debian13}
        topologies:
          single: {new: [database]}
        topology: single
        services:
          postgresql: {databases: {shop: {owner: shop}}}
        migration:
          sources:
        """
    }

    /// What `entries` renders its files from.
    static let template = "# of {{number}}\nitem = {{item}}\n"

    /// One of every other kind; those of PostgreSQL where the role database is.
    static let others = """
          - {on: all, group: crew, system: true}
          - {on: all, group: spare, system: true}
          - {on: all, symlink: /srv/it/current, target: /srv/it/d0}
          - {on: all, timer: tick, schedule: "*-*-* 04:00:00", command: /bin/true}
          - {on: all, sysctl: net.ipv4.tcp_syncookies, value: "1"}
          - {on: all, sysctl: net.ipv4.tcp_fin_timeout, value: "31"}
          - {on: all, firewall: metrics, allow: [9100, 9101], from: 10.0.0.0/8}
          - {on: all, file: /srv/it/uploaded.bin, source: uploaded.bin, mode: "0600"}
          - {on: all, file: /etc/motd, state: absent}
          - {on: all, probe: ssh, connect: "127.0.0.1:22", expect: "SSH-2.0-", unit: ssh.service}
          - {on: database, postgresRole: reader, login: false}
          - {on: database, postgresRole: writer, password: !generate writer, memberOf: [reader], connectionLimit: 7}
          - {on: database, postgresDatabase: extra, owner: writer}
          - {on: database, postgresExtension: citext, database: extra}
          - {on: database, postgresSetting: work_mem, value: 9MB}

        """

    /// A node of each release; PostgreSQL, an app of two instances and a hardened system (without what takes long to
    /// install) on the newer one.
    static let pair = """
        nodes:
          d12: {provider: lab, image: debian12}
          d13: {provider: lab, image: debian13}
        topologies:
          single: {d12: [], d13: [database, app]}
        topology: single
        services:
          postgresql: {databases: {shop: {}}}
          system: {bans: off, upgrades: off, time: off, integrity: false, accounting: false}
        apps:
          web: {source: {path: ./web}, instances: 2, start: perl server.pl, port: 3000, health: {path: /, timeout: 10s}, drain: 1s}
        resources:

        """

    /// The smallest web server that Debian's own Perl makes: `web/server.pl`.
    static func server(_ word: String = "hello", status: Int = 200) -> String {
        """
        use IO::Socket::INET;
        my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT}, Listen => 9, ReuseAddr => 1) or die;
        while (my $c = $s->accept) { while (my $l = <$c>) { last if $l =~ /^\\r?\\n$/ }
          print $c "HTTP/1.1 \(status) OK\\r\\nContent-Length: \(word.utf8.count)\\r\\nConnection: close\\r\\n\\r\\n\(word)"; close $c; }

        """
    }

    /// Nodes of Debian 12 without a role.
    static func blank(_ names: String..., disk: String? = nil) -> String {
        let nodes = names.map { "  \($0): {provider: lab, image: debian12\(disk.map { ", disk: \($0)" } ?? "")}" }
        return
            "nodes:\n\(nodes.joined(separator: "\n"))\ntopologies:\n  single: {\(names.map { "\($0): []" }.joined(separator: ", "))}\ntopology: single\nresources:\n"
    }

    /// Many small files below a folder of their own, so that writing them takes a while.
    static func files(_ count: Int, item: Int, in folder: String = "many") -> String {
        (0..<count).map {
            "  - {on: all, file: /srv/\(folder)/f\($0).conf, content: \"number \($0)\\nitem \(item)\\n\"}\n"
        }.joined()
    }
}
