/// A fleet file that uses every key there is.
let everyKey = #"""
    fleet: all-keys
    nodes:
      n1: {address: "2001:db8::1", port: 2222, user: admin, key: keys/admin, hostKey: "ssh-ed25519 QUJD comment", memory: 4GiB}
      n2: {provider: lab, image: debian13, disk: 4GiB}
    topologies:
      one: {n1: [database, cache, web, app, mail, backup]}
      two: {n1: [database, cache, monitoring, backup], n2: [web, app, mail]}
    topology: two
    services:
      postgresql:
        version: 15
        port: 5433
        databases: {shop: {owner: shop_owner, extensions: [uuid-ossp], encoding: UTF8, locale: fr_FR.UTF-8}}
        settings: {max_connections: 200, work_mem: 16MB}
        repository: {uri: "https://mirror.example/pgdg", suite: bookworm-pgdg, key: templates/b.conf}
        disk: hdd
        statements: false
      pgbouncer: {poolMode: session, port: 6433, poolSize: 30, maxClients: 900, settings: {pkt_buf: 8192}}
      redis:
        cache: {maxMemory: 1GiB, policy: volatile-ttl, port: 6400, allow: [keys]}
        durable: {maxMemory: 128MiB, policy: noeviction, port: 6401, fsync: always}
      nginx:
        rateLimit: {rate: 300r/m, burst: 10}
        loginLimit: {rate: 6r/m, burst: 3}
        connectionLimit: 50
        connections: 1000
        gzip: {dynamic: true}
        hsts: 365d
        cdn: [192.0.2.0/24]
        clientMaxBody: 25MB
        keepalive: 30s
        proxyTimeout: 2m
      certificates:
        email: admin@shop.example
        directory: https://ca.shop.example/directory
        challenge: dns-01
        dns: {server: 192.0.2.53, port: 5353, tsig: !secret ACMET, propagation: 10s}
        caBundle: templates/b.conf
        account: {keyID: kid-1, key: !secret EAB}
      mail:
        domain: shop.example
        hostname: mx.shop.example
        admin: admin@other.example
        selector: s2026
        key: !secret DKIM
        spf: ["include:_spf.other.example", mx]
        dmarc: reject
        addresses: [203.0.113.7, "2001:db8::7"]
        ipv6: true
        limits: {messageSize: 5MiB, recipients: 20, perMinute: 30, queueLifetime: 6h, processes: 10}
        warmUp: {start: 2026-12-06, perDay: [10, 20]}
        relay: {host: smtp.other.example, port: 465, user: shop, password: !secret RELAY}
        receive: {aliases: {contact: owner@other.example}}
        dns: {zone: shop.example, provider: rfc2136, server: 192.0.2.53, port: 5353, tsig: !secret TM, ttl: 10m}
      monitoring:
        retention: 30d
        retentionSize: 2GiB
        interval: 30s
        latency: 250ms
        serverErrors: 2.5%
        mail: {to: [a@b.example], from: c@d.example, host: smtp.example, port: 465, user: u, password: !secret SMTP}
        webhook: !secret HOOK
        heartbeat: !secret BEAT
        repeats: 1h
        grafana: {key: templates/b.conf, repository: "https://apt.grafana.com", port: 3901}
      system:
        users: {alice: {keys: ["ssh-ed25519 QUJD alice"], sudo: false, groups: [adm], shell: /bin/sh}}
        ssh: {root: false, allow: [deploy], tunnels: false}
        bans: {failures: 3, within: 5m, time: 2h, never: [203.0.113.0/24]}
        upgrades: {from: all, reboot: "Mon,Thu 03:15"}
        time: {servers: [time.example], authenticated: true}
        swap: {size: 1GiB}
        journal: {size: 100MiB, keep: 7d}
        integrity: false
        accounting: false
        banner: "private"
        idle: 10m
        kernel: {vm.swappiness: 5}
        remove: [telnet]
      backup:
        encryptionKey: !secret BACKUP_KEY
        targets:
          local: {path: /srv/backup}
          other: {node: n2, path: /srv/keep}
          cloud:
            s3:
              endpoint: s3.example:8443
              bucket: shop-backups
              region: eu-1
              accessKey: !secret S3_KEY
              secretKey: !secret S3_SECRET
              prefix: shop/one
              storageClass: STANDARD_IA
              objectLock: 14d
              pathStyle: true
              caBundle: templates/b.conf
              prune: {accessKey: !secret PRUNE_KEY, secretKey: !secret PRUNE_SECRET}
        postgresql:
          targets: [local, cloud]
          base: 03:45
          full: 14d
          keep: 60d
          archiveTimeout: 2m
          rpo: 10m
          verify: weekly
          processes: 4
        borg:
          targets: [local, other]
          paths: [/home]
          exclude: ["sh:**/node_modules"]
          dumps: [shop]
          time: 04:15
          keep: {daily: 14, weekly: 8, monthly: 12}
    apps:
      shop:
        source: {git: "https://git.example/shop.git", ref: v1.2}
        runtime: pm2
        instances: 2
        packages: [nodejs, g++]
        build: [[npm, ci], "npm run 'build all'"]
        buildEnv: {A: b}
        start: [node, server.js]
        port: 4000
        health: {path: "/healthz?deep=1", timeout: 1m, interval: 500ms}
        domains: [shop.example, "*.shop.example"]
        files: {/uploads/: {folder: /srv/up, maxAge: 2h, trusted: false}}
        env: {DIRECT: !binding database.shop.direct, HOST: !binding redis.durable.host, OTHER: !binding app.side, EMPTY: , SMTP: !binding mail, SMTP_HOST: !binding mail.host}
        journeys: journeys/shop.yaml
        login: {path: /login, method: PUT, userField: user}
        user: www-data
        keep: 5
        memory: 300MiB
        node: 18
        pm2: {npm: 6.0.14}
        image: node:18
        drain: 20s
        metrics: /metrics
      side:
        source: {archive: side.tar.gz}
        start: ./run
        pm2: {tarball: pm2.tgz}
        port: 5000
    resources:
      - {on: n1, package: htop, version: 3.2.2-2, state: absent}
      - on: [web, n1]
        file: /etc/a
        template: templates/b.conf
        vars: {n: 1, x: 1.5, t: true, s: "1", l: [a, {b: c}], p: !generate p, d: !binding database.shop.host}
        owner: root
        group: adm
        mode: "0600"
        state: present
      - {on: all, file: /etc/b, source: shop/server.js}
      - {on: all, file: /etc/c, content: "a"}
      - {on: all, file: /etc/d, state: absent}
      - {on: all, directory: /srv/d, owner: a, group: b, mode: "0700", state: absent}
      - {on: all, symlink: /etc/l, target: /etc/a, state: present}
      - {on: all, user: u, system: true, uid: 900, group: g, groups: [adm], home: /srv/u, shell: /bin/sh}
      - {on: all, group: g, system: true, gid: 900, state: present}
      - on: app
        unit: a@b.service
        state: stopped
        enabled: false
        reloadOn: [/etc/a]
        restartOn: [/etc/b]
        content: "[Service]\n"
        dropIns: {limits: "[Service]\nMemoryMax=1G\n"}
      - {on: all, timer: t, schedule: "*-*-* 03:00", command: true, user: u, persistent: false, randomDelay: 5m}
      - {on: all, sysctl: net.core.somaxconn, value: 4096}
      - on: all
        aptRepository: vendor
        uris: https://apt.example/debian
        suites: [bookworm]
        components: [main, contrib]
        architectures: [amd64]
        key: templates/b.conf
      - on: database
        postgresRole: reader
        login: false
        password: !secret READER
        createDatabase: true
        memberOf: [pg_read_all_data]
        connectionLimit: 5
        state: present
      - {on: database, postgresDatabase: d, owner: reader, encoding: UTF8, locale: C.UTF-8, state: present}
      - {on: database, postgresExtension: citext, database: d, state: present}
      - {on: database, postgresSetting: log_min_duration_statement, value: 250ms}
      - {on: all, probe: p1, url: "http://127.0.0.1:3000/up", host: shop.example, status: 204, unit: a@b.service}
      - {on: all, probe: p2, connect: "127.0.0.1:6379", send: "PING\r\n", expect: "+PONG", timeout: 5s}
      - {on: app, probe: p3, command: true, user: u}
      - {on: web, firewall: extra, allow: [8080, 8443], transport: udp, from: [10.0.0.0/8, "fd00::/8"]}
    migration:
      edge: {node: n1, upstream: "127.0.0.1:3000", certificate: /etc/ssl/a.pem, certificateKey: /etc/ssl/a.key}
      sources:
        a: {postgres: !secret A, into: shop, schemas: [public, app], exclude: [public.log], jobs: 4, fence: !secret AF, accept: [extension-missing], follow: always, walCap: 2GiB}
        b: {redis: !secret B, into: durable, keys: "bull:*", rate: 900, accept: [evictionPolicy]}
        c:
          mysql: !secret C
          into: shop
          schema: legacy
          exclude: [old]
          rules: {tinyint(1): smallint, users.born: zero-null, datetime: timestamptz Europe/Paris}
          accept: [view-not-carried]
          users: {table: User, email: email, password: passwordHash, metadata: migration}
          spotChecks: 5
          fence: !secret CF
        d: {files: "u@h:/srv/up", to: /srv/up, hostKey: "ssh-ed25519 QUJD", key: !secret D, exclude: ["*.tmp"], owner: u, rate: 4096, references: [{database: shop, column: products.image, prefix: /up/}]}
      dns:
        zone: shop.example
        provider: rfc2136
        server: ns.shop.example
        port: 5353
        tsig: !secret T
        records: {www.shop.example: {A: 192.0.2.7, AAAA: n1}}
        ttl: 1m
      window: {start: "2026-12-06T04:00:00+01:00", length: 1h}
      rollback:
        budget: 4m
        watch: 1h
        ifAlone: hold
        when: {usersUnableToLogIn: 5%, serverErrors: 0.5%, dataLoss: any, journeysFailed: any}
        minimumUsers: 5
        newWrites: reverse
      finalBackup: before
      drill: waived
      approve: auto
      testAlert: 12h
      customers: {notice: 24h, from: a@shop.example, database: shop, query: "SELECT email FROM c", message: templates/b.conf}
    costs:
      currency: USD
      before: {Supabase: 25, "Upstash (eu)": 10.5}
      after: {vps: 12}
      server: hetzner-cx21
      maintenance: {hours: 2, rate: 50}
      once: {training: 400}
      target: 12
    caps: {deletions: 3, memory: 150, unconfirmed: 20s}
    """#

/// The other shapes that exclude one of the above.
let hookedEdge =
    smallest + """
        migration: {edge: {hooks: {maintenance: ./on, restore: ./off, proxy: [./proxy, "to it"]}}}
        services: {nginx: {rateLimit: off, loginLimit: off, connectionLimit: off, gzip: false, hsts: off, cdn: cloudflare}}
        """

/// The web server that excludes the other.
let otherFront =
    smallest + """
        services: {caddy: {hsts: 1d, compressPages: true, clientMaxBody: 1MiB, proxyTimeout: 10s}}
        """
