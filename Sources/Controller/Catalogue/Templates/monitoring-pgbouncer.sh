#!/bin/sh
# Managed by Bascule: PgBouncer's pools and totals, named as the PgBouncer exporter of newer releases names them.
# Runs as PgBouncer's own system user, of whom its console asks no password.
show() { psql -XqA -F '|' -P footer=off -h /var/run/postgresql -p {{port}} -U pgbouncer -d pgbouncer -c "SHOW $1"; }

pools=$(show POOLS 2>/dev/null) && stats=$(show STATS 2>/dev/null)
up=$?
echo '# TYPE pgbouncer_up gauge'
if [ "$up" != 0 ]; then
    echo 'pgbouncer_up 0'
    exit 0
fi
echo 'pgbouncer_up 1'
printf '%s\n' "$pools" | awk -F'|' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    {
        labels = "{database=\"" $at["database"] "\",user=\"" $at["user"] "\"} "
        active = active "pgbouncer_pools_client_active_connections" labels $at["cl_active"] "\n"
        waiting = waiting "pgbouncer_pools_client_waiting_connections" labels $at["cl_waiting"] "\n"
        wait = wait "pgbouncer_pools_client_maxwait_seconds" labels $at["maxwait"] + $at["maxwait_us"] / 1000000 "\n"
        used = used "pgbouncer_pools_server_active_connections" labels $at["sv_active"] "\n"
        idle = idle "pgbouncer_pools_server_idle_connections" labels $at["sv_idle"] "\n"
    }
    END {
        printf "# TYPE pgbouncer_pools_client_active_connections gauge\n%s", active
        printf "# TYPE pgbouncer_pools_client_waiting_connections gauge\n%s", waiting
        printf "# TYPE pgbouncer_pools_client_maxwait_seconds gauge\n%s", wait
        printf "# TYPE pgbouncer_pools_server_active_connections gauge\n%s", used
        printf "# TYPE pgbouncer_pools_server_idle_connections gauge\n%s", idle
    }'
printf '%s\n' "$stats" | awk -F'|' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    {
        labels = "{database=\"" $at["database"] "\"} "
        queries = queries "pgbouncer_stats_queries_pooled_total" labels $at["total_query_count"] "\n"
        spent = spent "pgbouncer_stats_queries_duration_seconds_total" labels $at["total_query_time"] / 1000000 "\n"
        waited = waited "pgbouncer_stats_client_wait_seconds_total" labels $at["total_wait_time"] / 1000000 "\n"
    }
    END {
        printf "# TYPE pgbouncer_stats_queries_pooled_total counter\n%s", queries
        printf "# TYPE pgbouncer_stats_queries_duration_seconds_total counter\n%s", spent
        printf "# TYPE pgbouncer_stats_client_wait_seconds_total counter\n%s", waited
    }'
