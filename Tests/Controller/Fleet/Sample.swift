/// The sample of the design document, whole: it is a promise.
let designSample = #"""
    fleet: girlycrea
    nodes:
      vps1: {address: 203.0.113.10, port: 22, user: root, key: ~/.ssh/id_ed25519, hostKey: "ssh-ed25519 AAAA…"}
      vps2: {provider: lab, image: debian12}        # a throwaway node on this machine; later hetzner, ovh, scaleway, digitalocean
    topologies:
      single: {vps1: [database, cache, mail, web, app, monitoring, backup]}
    topology: single
    services:
      postgresql: {version: 15, databases: {shop: {owner: shop, extensions: [pgcrypto, citext]}}}
      pgbouncer: {poolMode: transaction}
      redis: {cache: {maxMemory: 256MiB, policy: allkeys-lru}}   # `durable: {…}` for queues and sessions: noeviction, AOF, its own instance
      nginx: {}
    apps:
      shop:
        source: {path: ./shop}              # or {git: URL, ref: main}, {archive: FILE}
        runtime: systemd                    # or pm2
        instances: 4
        build: ["npm ci --omit=dev"]
        buildEnv: {NEXT_PUBLIC_URL: https://shop.example}   # part of the release's digest: changing it rebuilds
        start: node server.js
        port: 3000
        health: {path: /healthz, timeout: 30s}
        domains: [shop.example]
        env: {DATABASE_URL: !binding database.shop, REDIS_URL: !binding redis.cache, SESSION_SECRET: !generate session, NODE_ENV: production}
        journeys: journeys/shop.yaml
    resources:                              # anything the catalogue does not cover; `on` takes all, a node, a role, or a list
      - {on: all, package: [nginx, redis-server]}
      - {on: all, user: svc0, system: true, shell: /usr/sbin/nologin}
      - {on: all, directory: /srv/app/d0, owner: root, group: root, mode: "0750"}
      - {on: all, file: /srv/app/a.conf, content: "x = 1\n", mode: "0640"}
      - {on: all, file: /srv/app/b.conf, template: templates/b.conf, vars: {item: 1}}
      - {on: all, unit: nginx.service, state: running, enabled: true, reloadOn: [/etc/nginx/nginx.conf]}
    migration:
      edge: {node: old1}                    # who shows the old maintenance page and later proxies to the active side; or {hooks: {…}}
      sources:
        database: {postgres: !secret SOURCE_DATABASE_URL, into: shop}
        cache: {redis: !secret SOURCE_REDIS_URL, into: cache}
        legacy: {mysql: !secret SOURCE_MYSQL_URL, into: shop}
        uploads: {files: "deploy@old.example:/var/www/app/public/uploads", hostKey: "ssh-ed25519 AAAA…", to: /srv/shop/uploads}
      dns: {zone: shop.example, provider: rfc2136, server: 203.0.113.53, tsig: !secret TSIG, records: {shop.example: {A: vps1}}, ttl: 300s}
      window: {start: 2026-12-06T03:00:00Z, length: 30m}
      rollback: {budget: 5m, watch: 30m, ifAlone: rollback, when: {usersUnableToLogIn: 10%, serverErrors: 1%, dataLoss: any}, minimumUsers: 20}
      finalBackup: parallel                 # or before (inside the window, as the second seed has it)
      approve: manual                       # the go/no-go; `auto` for rehearsals and CI. `--yes` never answers it
    """#
