import BasculeModel

/// What `bascule init` writes.
package enum FleetTemplate {
    /// A commented fleet file that validates as it is. A line that starts with `#` and no space is a key to switch on.
    ///
    /// - Parameter name: the fleet's name; anything that is not one becomes `shop`.
    package static func commented(name: String) -> String {
        let fleet = TextRule.app.accepts(name) ? name : "shop"
        return text.replacing("NAME", with: fleet)
    }

    private static let text = """
        # A fleet: the machines, what runs on them, and how to get there.
        # `bascule validate` reports every mistake with its line and column.
        # `bascule plan` shows what would be done, and touches nothing; `bascule apply` does it.
        # Values of secrets never stand in this file: `bascule secret set NAME`, then `!secret NAME`.
        fleet: NAME

        # The machines. Replace the address by your server's. `key` is the administrator's private key, used only to
        # install the agent; without it, ssh-agent is asked. `hostKey` spares the question at the first contact.
        nodes:
          vps1:
            address: 203.0.113.10
            user: root
        #    port: 22
        #    key: ~/.ssh/id_ed25519
          # A throwaway node on this machine, for rehearsals.
        #  rehearsal: {provider: lab, image: debian12}

        # Which node does what: database, cache, mail, web, app, monitoring, backup.
        topologies:
          single: {vps1: [database, cache, web, app]}
        topology: single

        # What the roles run. Defaults are in the reference; `bascule schema` gives them to your editor.
        services:
          postgresql:
            databases:
              NAME: {owner: NAME, extensions: [pgcrypto]}
        #    settings: {work_mem: 16MB}
          # In transaction mode prepared statements need PgBouncer 1.21; `!binding database.NAME.direct` goes past it.
          pgbouncer: {poolMode: transaction}
          redis:
            cache: {maxMemory: 256MiB, policy: allkeys-lru}
            # Queues (BullMQ) and sessions must not be evicted: they get an instance of their own.
        #    durable: {maxMemory: 128MiB}
          nginx: {clientMaxBody: 10MiB}

        apps:
          NAME:
            # Where the code is: {path: …}, {git: URL, ref: main} or {archive: FILE}.
            source: {path: .}
            packages: [nodejs, npm]
            instances: 2
            # Commands run without a shell, as the app's own user.
            build: ["npm ci --omit=dev"]
            # Part of the release's digest: changing it rebuilds.
        #    buildEnv: {NEXT_PUBLIC_URL: "https://shop.example"}
            start: node server.js
            port: 3000
            health: {path: /healthz, timeout: 30s}
            domains: [shop.example]
            env:
              NODE_ENV: production
              DATABASE_URL: !binding database.NAME
              REDIS_URL: !binding redis.cache
              SESSION_SECRET: !generate session
            # What the customers do, as HTTP steps; run before and after the switch.
        #    journeys: journeys/shop.yaml

        # Anything else. `on` takes all, a node, a role, or a list of them.
        resources:
          - {on: all, package: [htop]}
        #  - {on: web, file: /etc/motd, content: "Managed by Bascule.\\n", mode: "0644"}
        #  - {on: app, timer: tidy, schedule: daily, command: "find /var/tmp -mtime +7 -delete"}

        # The way from the old world. Switch it on when the new machine stands.
        #migration:
          # Who shows the maintenance page of the old world and then proxies to the new one.
        #  edge: {node: vps1}
        #  sources:
        #    database: {postgres: !secret SOURCE_DATABASE_URL, into: NAME}
        #    cache: {redis: !secret SOURCE_REDIS_URL, into: cache}
        #  dns:
        #    zone: shop.example
        #    provider: rfc2136
        #    server: 203.0.113.53
        #    tsig: !secret TSIG
        #    records: {shop.example: {A: vps1}}
        #  window: {length: 30m}
        #  rollback:
        #    budget: 5m
        #    watch: 30m
        #    ifAlone: rollback
        #    when: {usersUnableToLogIn: 10%, serverErrors: 1%, dataLoss: any}
        #  approve: manual

        # For the report: what it cost a month, and what it will.
        #costs: {currency: EUR, before: {hosting: 20, database: 25}, after: {vps: 12.5}}

        """
}
