/// What goes wrong on a node, and what an alert says of it: scripts for a node with the whole stack.
struct Trouble {
    /// Alerts that must fire.
    var alerts: Set<String>
    /// Makes the trouble; runs as root by bash.
    var makes: String
    /// Ends what `bascule apply` does not.
    var mends: String

    /// In the order in which they can follow each other. The first is for a node that heals itself, the others for one that
    /// is held.
    static let all = [fights, load, stops, silence]

    private static let start = """
        set -u
        metrics=/var/lib/prometheus/node-exporter
        bg() { name=$1; shift; systemd-run -q --collect --unit="trouble-$name" "$@"; }
        redis() { i=$1; shift; { head -1 "/etc/redis/redis-$i.reload"; printf '%s\\n' "$@"; } | redis-cli -s "/run/redis-$i/redis.sock"; }

        """

    /// What the agent puts right again and again, and a file that it cannot.
    private static let fights = Trouble(
        alerts: ["HealFailed", "HealsAgainAndAgain"],
        makes: """
            # A file that is a mount can be written to, and none can be put in its place.
            file=/etc/prometheus/blackbox.yml; mount --bind $file $file; echo '# broken' >> $file
            for round in 1 2 3; do
                for file in /etc/prometheus/rules/bascule-*.yml; do echo '# broken' >> "$file"; done
                for try in $(seq 100); do grep -q '^# broken' /etc/prometheus/rules/*.yml || break; sleep 0.2; done
            done
            """,
        mends: "umount /etc/prometheus/blackbox.yml")

    /// Everything that can be wrong while all services run.
    private static let load = Trouble(
        alerts: [
            "ServerErrors", "ManyServerErrors", "Slow", "NewError", "ManyErrors", "PostgreSQLConnectionsHigh",
            "PostgreSQLConnectionsExhausted", "PostgreSQLLongTransaction", "PostgreSQLDeadlocks", "PostgreSQLRollsBack",
            "PgBouncerClientsWait", "PgBouncerClientsWaitLong", "RedisMemoryHigh", "RedisEvictsDurable",
            "RedisDoesNotPersist", "RedisHitRateLow", "RedisRefusesConnections", "MailQueueLong", "MailStuck",
            "BackupTooOld", "BackupFailed", "BackupMetricsStopped", "RuleFails", "TextMetricsUnreadable",
            "ClockNotSynchronized", "ClockOff", "MemoryLow",
            "MemoryExhausted", "ProcessKilledForMemory", "LoadHigh", "CPUBusy", "UnitFailed", "RebootRequired",
            "DiskFilling", "DiskAlmostFull", "DiskFull", "DiskUnderFloor", "InodesLow", "DriftLeftAlone",
            "MonitoringConfigurationRefused", "HealingSuspended", "CertificateEnds", "CertificateEndsSoon",
        ],
        makes: start + web + databases + caches + kernel + """
            # A hundred mails that nobody takes.
            smtp-source -f shop@shop.example -t nobody@nowhere.invalid -m 110 127.0.0.1:587
            printf 'bascule_backup_last_success_timestamp_seconds{kind="base"} 1\\nbascule_backup_last_result{kind="base"} 0\\n' > $metrics/bascule-backup-postgresql.prom
            touch -d '20 minutes ago' $metrics/bascule-backup-postgresql.prom
            # Twice the same alert: Prometheus cannot evaluate the rule.
            printf 'nginx_up{about="a"} 0\\nnginx_up{about="b"} 0\\n' > $metrics/trouble.prom
            echo 'broken {' > $metrics/trouble-unreadable.prom
            printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' > /run/systemd/system/doomed.service
            systemctl daemon-reload; systemctl start doomed
            touch /run/reboot-required
            # What is healed was changed by a stranger's hand.
            systemctl stop bascule-agent; sed -i 's/"service monitoring"/"a stranger"/' /var/lib/bascule/heal.json
            systemctl start bascule-agent
            echo 'broken: [' >> /etc/prometheus/alertmanager.yml; systemctl reload prometheus-alertmanager
            """ + crowd + certificate + """
                bg inodes python3 -c 'import os
                os.makedirs("/var/many"); disk = os.statvfs("/")
                for n in range(disk.f_ffree - disk.f_files // 20): os.mknod("/var/many/%d" % n)'
                # What the agent would give up to find room: without it the disk stays full.
                apt-get clean; journalctl -q --rotate --vacuum-size=1M 2>/dev/null
                fallocate -l $(($(df --output=avail -B1 / | tail -1) - (40 << 20))) /var/tmp/filler
                true
                """,
        mends: """
            systemctl stop 'trouble-*'
            rm -f /var/tmp/filler /run/reboot-required /var/lib/prometheus/node-exporter/{trouble*,bascule-backup*}
            find /var/many -delete
            rm /run/systemd/system/doomed.service; systemctl reset-failed doomed; systemctl daemon-reload
            postsuper -d ALL
            systemctl stop redis-server@durable; umount -l /var/lib/redis/durable
            runuser -u postgres -- psql -Xqc "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()" shop
            true
            """)

    /// What customers get: errors, slow answers.
    private static let web = """
        for n in 1 2 3 4; do bg web$n python3 -c 'import ssl, urllib.request
        trust = ssl._create_unverified_context()
        while True:
            for path in ["/", "/boom/1", "/slow"]:
                try: urllib.request.urlopen("https://shop.example" + path, context=trust).read()
                except Exception: pass'; done

        """

    /// A long transaction, a deadlock, transactions that end in nothing, clients who wait at PgBouncer.
    private static let databases = """
        psql="psql -XqAt -h /var/run/postgresql -d shop"
        bg long --uid=postgres $psql -c 'begin; select pg_sleep(600)'
        for order in '1 2' '2 1'; do
            set -- $order
            bg lock$1 --uid=postgres $psql -c begin -c "select pg_advisory_xact_lock($1)" -c 'select pg_sleep(2)' -c "select pg_advisory_xact_lock($2)"
        done
        bg back --uid=postgres sh -c "while :; do echo 'begin; select txid_current(); rollback;'; sleep 0.05; done | $psql -o /dev/null"
        url=$(tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID bascule-shop@3000)/environ | sed -n 's/^DATABASE_URL=//p')
        for n in 1 2 3 4; do bg wait$n -E PGURL="$url" sh -c 'exec psql -XqAt "$PGURL" -c "select pg_sleep(600)"'; done
        for try in $(seq 50); do [ "$(runuser -u postgres -- $psql -c "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%' and usename = 'shop'")" = 2 ] && break; sleep 0.2; done

        """

    /// More clients than PostgreSQL takes. Later than the rest: the exporter of Debian 13 then gets no connection for most of
    /// what it asks.
    private static let crowd = """

        bg many --uid=postgres python3 -c 'import socket, struct, time
        held = []
        for n in range(40):
            s = socket.socket(socket.AF_UNIX); s.connect("/var/run/postgresql/.s.PGSQL.5432"); held.append(s)
            body = struct.pack("!i", 196608) + b"user\\0postgres\\0database\\0shop\\0\\0"
            s.sendall(struct.pack("!i", len(body) + 4) + body)
        time.sleep(600)'

        """

    /// The durable instance on a disk too small for its file, with another policy; the cache asked for what it has not, and
    /// by more clients than it takes.
    private static let caches = """
        bg hits sh -c "{ head -1 /etc/redis/redis-cache.reload; while :; do echo get nothing; sleep 0.1; done; } | redis-cli -s /run/redis-cache/redis.sock > /dev/null"
        mount -t tmpfs -o size=2m,uid=$(id -u redis),gid=$(id -g redis),mode=0750 none /var/lib/redis/durable
        systemctl restart redis-server@durable
        # The exporter has to see it empty first, to see the counter of evictions grow.
        sleep 8
        redis durable 'config set maxmemory-policy allkeys-lru' 'eval "for i=1,1500 do redis.call(\\"set\\",\\"fill\\"..i,string.rep(\\"x\\",100000)) end" 0' > /dev/null
        redis cache 'config set maxclients 3'
        python3 -c 'import socket, time
        held = [socket.socket(socket.AF_UNIX) for n in range(12)]
        for s in held: s.connect("/run/redis-cache/redis.sock")
        time.sleep(2)'
        sleep 1
        redis cache 'config set maxclients 10000' > /dev/null

        """

    /// All nodes of a lab share one kernel with the machine under them, so what it says of memory, processors and clock is
    /// stood in for: files over those of /proc, where node_exporter alone sees them, and the clock's metrics as text.
    private static let kernel = """
        mkdir -p /srv/proc; cp /proc/meminfo /proc/loadavg /proc/stat /proc/vmstat /srv/proc
        sed -i '/MemAvailable/s/[0-9][0-9]*/1024/' /srv/proc/meminfo
        echo '900 900 900 5/842 6293' > /srv/proc/loadavg
        for file in meminfo loadavg stat vmstat; do
            nsenter -t $(systemctl show -P MainPID prometheus-node-exporter) -m mount --bind /srv/proc/$file /proc/$file
        done
        sleep 8
        sed -n 's/^oom_kill \\(.*\\)/oom_kill \\1/p' /srv/proc/vmstat
        bg kernel python3 -c 'import re, time
        def put(path, text):
            with open(path, "r+") as file: file.write(text); file.truncate()
        vm = open("/srv/proc/vmstat").read()
        put("/srv/proc/vmstat", re.sub("oom_kill ([0-9]+)", lambda m: "oom_kill %d" % (int(m[1]) + 1), vm))
        was, start = open("/srv/proc/stat").read(), time.time()
        while True:
            # Every processor works, none is idle.
            spent = int((time.time() - start) * 100)
            put("/srv/proc/stat", re.sub("(?m)^(cpu[0-9]*) +([0-9]+)", lambda m: "%s %d" % (m[1], int(m[2]) + spent), was))
            time.sleep(0.5)'
        printf 'node_timex_sync_status 0\\nnode_timex_maxerror_seconds 16\\nnode_timex_offset_seconds 0.1\\n' > $metrics/trouble-clock.prom

        """

    /// The same with nothing to tell of: how busy the machine under the node is must not decide a test.
    static let calm = """
        systemctl stop trouble-kernel trouble-calm 2>/dev/null
        cp /proc/stat /srv/proc; echo '0.1 0.1 0.1 1/100 6293' > /srv/proc/loadavg
        systemd-run -q --collect --unit=trouble-calm python3 -c 'import re, time
        was, start = open("/srv/proc/stat").read(), time.time()
        while True:
            spent = int((time.time() - start) * 100)
            text = re.sub("(?m)^(cpu[0-9]*) +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+)", lambda m: "%s %s %s %s %d" % (m[1], m[2], m[3], m[4], int(m[5]) + spent), was)
            with open("/srv/proc/stat", "r+") as file: file.write(text); file.truncate()
            time.sleep(0.5)'
        for file in loadavg stat; do
            nsenter -t $(systemctl show -P MainPID prometheus-node-exporter) -m mount --bind /srv/proc/$file /proc/$file
        done
        """

    /// The authority is not believed any more, and the certificate is in its last day of three weeks.
    private static let certificate = """

        (
            mkdir -p /root/near; cd /root/near; : > index; echo 01 > serial
            printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=index\\nserial=serial\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\ncopy_extensions=copy\\nunique_subject=no\\n[p]\\ncommonName=supplied\\n[req]\\ndistinguished_name=n\\n[n]\\n' > conf
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=shop.example -addext subjectAltName=DNS:shop.example -keyout key -out csr -config conf
            openssl ca -batch -selfsign -config conf -keyfile key -in csr -out crt -notext \\
                -startdate $(date -ud '-20 days' +%Y%m%d%H%M%SZ) -enddate $(date -ud '+1 day' +%Y%m%d%H%M%SZ)
            cd /var/lib/bascule-certificates/config/live/shop
            cat /root/near/crt > fullchain.pem; cat /root/near/key > privkey.pem
            echo broken > /etc/bascule-certificates/authority.pem
        ) 2>/dev/null
        systemctl start bascule-certificates.service

        """

    /// Everything that serves is stopped, and who watches, too.
    private static let stops = Trouble(
        alerts: [
            "NginxDown", "SiteDown", "PostgreSQLDown", "PgBouncerDown", "RedisDown", "ServiceDown", "ExporterDown",
            "ErrorsUnread", "AgentSilent", "TextMetricsOld",
        ],
        makes: """
            systemctl stop bascule-agent nginx pgbouncer redis-server@cache 'postgresql@*-main.service' mtail \\
                bascule-errors.timer bascule-mail-metrics.timer
            """,
        mends: "systemctl start bascule-agent")

    /// The node says nothing, and who would be told is not there.
    private static let silence = Trouble(
        alerts: ["NodeDown", "NotificationsFail"],
        makes: "systemctl stop bascule-watch-hook prometheus-node-exporter",
        mends: "systemctl start bascule-watch-hook")

    /// Alerts that the administrator need not hear of: the worse of two about the same thing silences the other, and who
    /// cannot be told cannot be told that.
    static let silenced: Set = [
        "DiskFilling", "DiskAlmostFull", "MemoryLow", "ServerErrors", "PostgreSQLConnectionsHigh",
        "PgBouncerClientsWait", "NotificationsFail", "BackupFailed",
    ]
}
