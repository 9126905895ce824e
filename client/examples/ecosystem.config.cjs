// PM2: `pm2 start ecosystem.config.cjs`, and `pm2 reload ecosystem.config.cjs` at a deployment.
//
// That is all there is to it. The first worker that needs the session daemon starts it, outside of PM2's tree: reload, restart and delete leave it
// alone, and it ends by itself a minute after the last worker.

module.exports = {
  apps: [
    {
      name: "app",
      script: "server.js",
      exec_mode: "cluster",
      instances: "max",
      // How long the requests that have arrived may take before a worker is killed. At SIGINT the worker leaves as daemon/OPERATING.md shows.
      kill_timeout: 5_000,
      env: {
        NODE_ENV: "production",
        // One root for each application, and none that something cleans by age, as /tmp is.
        GAMBAS_SESSION_ROOT: "/var/lib/app/sessions",
      },
    },
  ],
};
