// Managed by Bascule: how PM2 runs the app. systemd starts one PM2 for each port, each with its own set of workers in
// cluster mode. Not with `pm2 reload`, which takes an old worker away after 3 s even where the new one never listened:
// Bascule replaces one set while another serves, and goes on only once it is healthy.
"use strict";

const port = process.env.PORT;
const workers = {
{{#sets}}
  "{{port}}": {{workers}},
{{/sets}}
};

module.exports = {
  apps: [
    {
      name: {{app}} + "-" + port,
      script: {{script}},
      args: {{arguments}},
      node_args: {{nodeArguments}},
      cwd: {{cwd}},
      exec_mode: "cluster",
      instances: workers[port],
      // A leak ends in a restart of one worker, before the unit's own limit takes them all.
      max_memory_restart: {{memory}},
      // As long as requests may take to end after the signal.
      kill_timeout: {{killMilliseconds}},
      exp_backoff_restart_delay: 100,
      // Files beside the journal, rotated by logrotate.
      out_file: {{logs}} + "out-" + port + ".log",
      error_file: {{logs}} + "error-" + port + ".log",
      merge_logs: true,
      // Nothing that talks to anybody outside.
      pmx: false,
      automation: false,
      vizion: false,
      watch: false,
    },
  ],
};
