// Facts for the tests of the checks: a root on which all is well, and for every row of their table a fault that it finds.

import type { Facts } from "../../../daemon/doctor/checks/checks.ts";

const ROOT = "/srv/app/sessions";
const SOCKET = `${ROOT}/sessiond.sock`;
export const TOLD = {
  ...{ version: "1.2.0", protocol: 3, pid: 4711, root: ROOT, type: "file", connections: 2, uptimeSeconds: 60 },
  ...{ gambas: "3.18 (setting)", isWatching: true },
};

/** A root on which nothing is wrong, and nothing to be noted. */
export const HEALTHY: Facts = {
  places: { root: ROOT, socket: SOCKET, type: "file" },
  uid: 1000,
  nowMs: Date.UTC(2026, 5, 1),
  root: {
    ...{ kind: "directory", uid: 1000, mode: 0o700, target: "", problem: "" },
    ...{ closedParent: undefined, openParent: undefined },
  },
  disk: {
    ...{ type: "ext4", mountPoint: "/", options: ["rw"], sessionsElsewhere: false },
    ...{ freeBytes: 5e9, totalBytes: 1e11, freeFiles: 1e6, totalFiles: 1e7 },
  },
  features: { source: "daemon", reason: "", lacks: [] },
  cleaners: { tmpfiles: [], hasSystemd: true, reapers: [] },
  socket: { kind: "socket", uid: 1000, mode: 0o600, problem: "" },
  daemon: { kind: "answers", told: TOLD },
  election: { pid: 4711, electedMs: 0, hasLockDirectory: true, isHeld: true, holder: "runs" },
  process: { pid: 4711, openFiles: 40, maxFiles: 65_536, umask: 0o077 },
  watches: { usedInstances: 3, maxInstances: 128, usedWatches: 5, maxWatches: 65_536 },
  clock: { movedSeconds: 0, sleptSeconds: 0 },
  here: { version: "1.2.0", protocol: 3, node: "22.1.0", nativeProblem: undefined },
  redis: {
    ...{ refused: undefined, elsewhere: undefined },
    servers: [
      {
        ...{ where: "redis://db:6379", isConnected: true, server: "Redis 7.0.15", role: "master" },
        ...{ evictionPolicy: "noeviction", keepsLog: true, replicas: 1, replicaLagBytes: 0 },
      },
    ],
  },
  sqlite: {
    ...{ library: { has: "node:sqlite (Node 22.1.0, SQLite 3.51.0)" }, guard: { has: "by koffi" } },
    daemonHasGuard: true,
  },
  gambas: {
    ...{ installed: [{ path: "/usr/bin/gbx3", version: "3.18.4" }], programs: [], isTheirRoot: true },
    left: [],
  },
  sessions: {
    ...{ problem: "", count: 1_204, read: 1_204, damaged: [], foreign: [], barred: [], noFiles: [], strays: [] },
    ...{ future: [], cookiePaths: ["/"] },
  },
  others: { type: "sqlite", count: 0, names: [], usedMs: undefined, isServed: false },
  applications: { seen: [{ folder: "/srv/app", pids: [1, 2] }], source: "sockets" },
};

export type Plant = { readonly [K in keyof Facts]?: Partial<Facts[K]> | undefined };

export function planted(plant: Plant): Facts {
  const merged = Object.entries(plant).map(([name, value]) => {
    const healthy = HEALTHY[name as keyof Facts];
    const isPart = typeof value === "object" && typeof healthy === "object" && !("kind" in value && name === "daemon");
    return [name, isPart ? { ...healthy, ...value } : value];
  });
  return { ...HEALTHY, ...Object.fromEntries(merged) };
}

/** Of type "redis", whose only server is so. */
const redis = (server: object) => ({
  places: { type: "redis" as const },
  redis: { servers: HEALTHY.redis.servers.map((one) => ({ ...one, ...server })) },
});
/** Of type "sqlite", which has what it needs but for this. */
export const sqlite = (lacks: object) => ({ places: { type: "sqlite" as const }, sqlite: lacks });
/** The last of them was used so long ago. */
export const others = (agoMs: number, isServed = false) => ({
  others: { count: 3, names: ["a.db", "b.db", "c.db"], usedMs: HEALTHY.nowMs - agoMs, isServed },
});
export const HOUR_MS = 3_600_000;
const NONE = { daemon: { kind: "none" } } as const;
const FREE = { pid: undefined, hasLockDirectory: false, isHeld: false, holder: "unknown" } as const;
const ODD = [{ name: "a:1", why: "it ends early" }];
export const conf = (text: string) => ({ tmpfiles: [{ path: "/usr/lib/tmpfiles.d/app.conf", text }] });

/** By check and row: a fault, what is seen of it, and what is to be done (a command where there is one). */
export const PLANTS: Readonly<Record<string, readonly [plant: Plant, seen: string, remedy: string | null]>> = {
  "root/absent": [{ root: { kind: "absent" } }, `There is no ${ROOT} yet`, null],
  "root/cannot-be-made": [
    { root: { kind: "absent", closedParent: "/srv" } },
    "you may make nothing in /srv",
    `sudo install -d -m 700 -o 1000 ${ROOT}`,
  ],
  "root/unseen": [{ root: { kind: "unknown", problem: "EACCES" } }, "cannot be looked at: EACCES", "--root DIR"],
  "root/link": [
    { root: { kind: "link", target: "/data/it's" } },
    "is a symbolic link",
    "export GAMBAS_SESSION_ROOT='/data/it'\\''s'",
  ],
  "root/no-directory": [{ root: { kind: "other" } }, "is no directory", `mv ${ROOT} ${ROOT}.away`],
  "root/foreign": [
    { root: { uid: 33 } },
    "belongs to user 33, not to you (1000)",
    `sudo -u '#33' gambas-sessiond doctor --root ${ROOT}`,
  ],
  "root/mode": [{ root: { mode: 0o755 } }, "has mode 0755", `chmod 700 ${ROOT}`],
  "root/open-parent": [{ root: { openParent: "/srv/app" } }, "rename what is in /srv/app", "sudo chmod +t /srv/app"],
  "redis/not-asked": [
    { places: { type: "redis" }, redis: { servers: [] } },
    "Nobody has said where Redis is",
    "export GAMBAS_SESSION_REDIS=",
  ],
  "redis/refused": [
    { places: { type: "redis" }, redis: { refused: "It is too old." } },
    "It is too old.",
    "No daemon starts",
  ],
  "redis/elsewhere": [
    { places: { type: "redis" }, redis: { elsewhere: { named: "redis://new:6379", served: "redis://db:6379" } } },
    "has its sessions in redis://db:6379, and redis://new:6379 was named.",
    "name the former",
  ],
  "redis/away": [
    redis({ isConnected: false, reason: "connect ECONNREFUSED" }),
    "cannot be reached: redis://db:6379 (connect ECONNREFUSED)",
    "ERR_STORE",
  ],
  "redis/evicts": [
    redis({ evictionPolicy: "allkeys-lru" }),
    "redis://db:6379 (maxmemory-policy allkeys-lru)",
    "redis-cli CONFIG SET maxmemory-policy noeviction",
  ],
  "redis/forgets": [redis({ keepsLog: false }), "keeps no log of writes", "redis-cli CONFIG SET appendonly yes"],
  "redis/lags": [redis({ replicaLagBytes: 5e6 }), "is behind, so a failover would lose", "durability replica"],
  "redis/sentinels-away": [
    redis({ sentinels: { named: 3, answering: 2, known: 3 } }),
    "has Sentinels that do not answer: redis://db:6379 (2 of 3)",
    "as long as half",
  ],
  "redis/sentinels-unnamed": [
    redis({ sentinels: { named: 1, answering: 1, known: 3 } }),
    "has Sentinels that are not named: redis://db:6379 (1 of 3)",
    "Name all of them",
  ],
  "sqlite/no-library": [
    { ...sqlite({ library: { lacks: { why: "It needs SQLite", command: "npm install it" } } }), ...NONE },
    "It needs SQLite.",
    "No daemon starts until then.\nnpm install it",
  ],
  "sqlite/no-guard": [
    sqlite({ guard: { lacks: { why: "no koffi", command: "npm install koffi" } }, daemonHasGuard: false }),
    "(no koffi): nothing is written while one of this user runs, and changes fail with ERR_SESSION_BUSY",
    "npm install koffi",
  ],
  "sqlite/daemon-without-guard": [
    sqlite({ daemonHasGuard: false }),
    "began before there was a guard",
    `gambas-sessiond --takeover --root ${ROOT} --type sqlite`,
  ],
  "sqlite/no-log": [
    { ...sqlite({}), features: { source: "inside", lacks: [{ feature: "log", words: "there is no log" }] } },
    "On the file system of session/ there is no log.",
    "--root DIR",
  ],
  "sqlite/no-locks": [
    { ...sqlite({}), features: { source: "trial", lacks: [{ feature: "locks", words: "no lock holds" }] } },
    "On the file system of session/ no lock holds.",
    "--root DIR",
  ],
  "file system/read-only": [{ disk: { options: ["relatime", "ro"] } }, "/ is mounted read-only", "remount,rw /"],
  "file system/of-windows": [{ disk: { type: "vfat" } }, "vfat takes no colons", "--root DIR"],
  "file system/network": [{ disk: { type: "nfs4" } }, "reaches over a network", "--root DIR"],
  "file system/in-memory": [{ disk: { type: "tmpfs" } }, "tmpfs is memory", "--root DIR"],
  "file system/session-elsewhere": [
    { disk: { sessionsElsewhere: true } },
    "another file system",
    "put session/ into it",
  ],
  "file system/lacks": [
    { features: { lacks: [{ feature: "exchange", words: "slower" }] } },
    "is done in another way: slower",
    null,
  ],
  "file system/untried": [
    { features: { source: "unknown", reason: "no daemon" } },
    "was not tried: no daemon",
    `gambas-sessiond --root ${ROOT}`,
  ],
  "space/full": [
    { disk: { freeBytes: 4_096 } },
    "/ is full: 4.1 kB free of 100 GB",
    `gambas-sessiond sweep --root ${ROOT}`,
  ],
  "space/low": [{ disk: { freeBytes: 5e7 } }, "nearly full: 50 MB free", "gambas-sessiond sweep"],
  "space/no-files-left": [{ disk: { freeFiles: 0 } }, "has no inodes left", "gambas-sessiond sweep"],
  "space/few-files-left": [
    { disk: { freeFiles: 500 } },
    "has few inodes left: 500 of 10,000,000",
    "gambas-sessiond sweep",
  ],
  "cleaners/systemd-tmpfiles": [
    { cleaners: conf("# those of the application\nd /srv/app 0755 app app 10d\n") },
    "removes from /srv/app what was not used for 10d (/usr/lib/tmpfiles.d/app.conf)",
    `echo 'x ${ROOT}' | sudo tee /etc/tmpfiles.d/gambas-session.conf`,
  ],
  "cleaners/tmpreaper": [
    { cleaners: { reapers: [{ path: "/etc/tmpreaper.conf", text: "TMPREAPER_TIME=7d\nTMPREAPER_DIRS='/srv/.'\n" }] } },
    "(/etc/tmpreaper.conf)",
    `TMPREAPER_PROTECT_EXTRA='${ROOT}/*'`,
  ],
  "cleaners/at-start": [
    { cleaners: conf("D /srv/app 1777 root root -") },
    "is emptied when the machine starts",
    "--root DIR",
  ],
  "socket/too-long": [
    { socket: { kind: "too-long", problem: "It has 140 bytes." }, ...NONE },
    "140 bytes",
    "export GAMBAS_SESSION_SOCKET=",
  ],
  "socket/unseen": [{ socket: { kind: "unknown", problem: "EACCES" }, ...NONE }, "looked at: EACCES", "--socket PATH"],
  "socket/no-socket": [{ socket: { kind: "other" }, ...NONE }, "is no socket", `mv ${SOCKET} ${SOCKET}.away`],
  "socket/foreign": [{ socket: { uid: 33 } }, "belongs to user 33, not to the root's (1000)", "ps -u 33 "],
  "socket/mode": [{ socket: { mode: 0o666 } }, "has mode 0666", `chmod 600 ${SOCKET}`],
  "socket/stale": [{ ...NONE, election: FREE }, "was left by one that was killed", `gambas-sessiond --root ${ROOT}`],
  "socket/no-daemon": [
    { socket: { kind: "absent" }, ...NONE, election: FREE },
    "the first worker that needs one starts it",
    `gambas-sessiond --root ${ROOT}`,
  ],
  "socket/lost": [{ socket: { kind: "absent" }, ...NONE }, "does not listen on", "kill 4711"],
  "socket/silent": [
    { daemon: { kind: "silent", what: "It has not answered for 5000 ms." } },
    "not answered for 5000 ms",
    "kill -KILL 4711",
  ],
  "socket/stranger": [{ daemon: { kind: "stranger", what: "It is no daemon." } }, "It is no daemon", "ss -xlp src"],
  "socket/other-root": [
    { daemon: { kind: "answers", told: { ...TOLD, root: "/srv/blog" } } },
    "serves another root: /srv/blog",
    "--socket PATH",
  ],
  "socket/other-type": [
    { daemon: { kind: "answers", told: { ...TOLD, type: "memory" } } },
    "keeps sessions of type memory, and file was asked for",
    "--socket PATH",
  ],
  "socket/loses-everything": [
    { daemon: { kind: "answers", told: { ...TOLD, type: "memory" } } },
    "in its memory alone",
    `gambas-sessiond --takeover --root ${ROOT}`,
  ],
  "election/stopped": [
    { daemon: { kind: "silent", what: "Silence." }, election: { holder: "stopped" } },
    "(pid 4711) was stopped",
    "kill -CONT 4711",
  ],
  "election/other-pid": [{ election: { pid: 12 } }, "pid 4711 answers, and pid 12 is elected", "ask again"],
  "election/no-pid-file": [{ election: { pid: undefined } }, "pid file is gone", "cleaners"],
  "election/no-lock-directory": [{ election: { hasLockDirectory: false } }, "sessiond.lock is gone", "cleaners"],
  "election/left-behind": [
    { ...NONE, election: { ...FREE, pid: 4711, hasLockDirectory: true, holder: "ended" } },
    "has left its pid file or lock",
    null,
  ],
  "election/without-record-lock": [
    { features: { lacks: [{ feature: "recordLocks", words: "no locks" }] } },
    "goes by sessiond.lock alone",
    null,
  ],
  "versions/daemon-newer": [
    { daemon: { kind: "newer", what: "It speaks 4." } },
    "It speaks 4",
    "restart what is still of this one",
  ],
  "versions/daemon-older": [
    { daemon: { kind: "answers", told: { ...TOLD, version: "1.0.0", protocol: 2 } } },
    "is 1.0.0 and speaks protocol 2",
    `gambas-sessiond --takeover --root ${ROOT}`,
  ],
  "versions/daemon-differs": [
    { daemon: { kind: "answers", told: { ...TOLD, version: "1.1.0" } } },
    "The daemon is 1.1.0, this is 1.2.0",
    "gambas-sessiond --takeover",
  ],
  "record locks/not-loaded": [
    { here: { nativeProblem: "no addon" } },
    "do not load: no addon",
    "npm install gambas-session",
  ],
  "record locks/lacking": [
    { features: { lacks: [{ feature: "recordLocks", words: "files cannot be locked" }] } },
    "On this file system files cannot be locked",
    "--root DIR",
  ],
  "watches/not-watching": [
    { daemon: { kind: "answers", told: { ...TOLD, isWatching: false } } },
    "does not hear when Gambas programs save",
    "sudo sysctl fs.inotify.max_user_instances=512",
  ],
  "watches/few-instances": [
    { watches: { usedInstances: 128 } },
    "128 of 128 instances",
    "sudo sysctl fs.inotify.max_user_instances=512",
  ],
  "watches/few-watches": [
    { watches: { usedWatches: 60_000 } },
    "60,000 of 65,536 watches",
    "sudo sysctl fs.inotify.max_user_watches=262144",
  ],
  "descriptors/running-out": [
    { process: { openFiles: 60_000 } },
    "60,000 of 65,536 descriptors open",
    "sudo prlimit --pid 4711 --nofile=262144",
  ],
  "descriptors/few": [
    { process: { maxFiles: 256 } },
    "may have 256 descriptors",
    "sudo prlimit --pid 4711 --nofile=65536",
  ],
  "umask/takes-owner's-bits": [{ process: { umask: 0o277 } }, "umask 0277 takes", "umask 077"],
  "clock/past": [{ nowMs: 0 }, "far behind", "sudo timedatectl set-ntp true"],
  "clock/moved": [
    { clock: { movedSeconds: 7_200, sleptSeconds: 300 } },
    "set forth by 2 h, or the machine has slept: sessions end earlier",
    "timedatectl status",
  ],
  "gambas/running": [
    { gambas: { programs: [{ pid: 7, name: "/srv/shop.gambas" }] } },
    "/srv/shop.gambas (pid 7)",
    null,
  ],
  "gambas/other-root": [
    { gambas: { programs: [{ pid: 7, name: "x" }], isTheirRoot: false } },
    "1 Gambas program of this user is running and cannot see this root",
    "unset GAMBAS_SESSION_ROOT",
  ],
  "gambas/two-dialects": [
    {
      gambas: {
        installed: [
          { path: "/usr/bin/gbx3", version: "3.18.4" },
          { path: "/usr/local/bin/gbx3", version: "3.22.0" },
        ],
      },
    },
    "the older one cannot read",
    "--gambas 3.18",
  ],
  "gambas/wrong-dialect": [
    { daemon: { kind: "answers", told: { ...TOLD, gambas: "3.19 (files of this root)" } } },
    "the installed 3.18.4 cannot read them",
    "gambas-sessiond --takeover --gambas 3.18",
  ],
  "gambas/broken-sqlite": [
    { places: { type: "sqlite" }, gambas: { installed: [{ path: "/usr/bin/gbx3", version: "3.22.0" }] } },
    "Type sqlite of the installed 3.22.0 is broken",
    "Component=gb.db",
  ],
  "gambas/left-directories": [{ gambas: { left: ["42"] } }, "do not run any more: 42", `rm -r ${ROOT}/42`],
  "sessions/unseen": [{ sessions: { problem: "EIO" } }, "session/ cannot be listed: EIO", "Mend"],
  "sessions/damaged": [
    { sessions: { damaged: ODD } },
    "1 session cannot be read: a:1 (it ends early)",
    `gambas-sessiond show ${ROOT}/session/a:1`,
  ],
  "sessions/foreign": [{ sessions: { foreign: ODD } }, "is another user's", `sudo chown 1000 ${ROOT}/session/a:1`],
  "sessions/barred": [
    { sessions: { barred: ODD } },
    "1 session does not let its own user read and write it: a:1",
    `chmod 600 ${ROOT}/session/a:1`,
  ],
  "sessions/no-files": [{ sessions: { noFiles: ODD } }, "is no file", `ls -ld ${ROOT}/session/a:1`],
  "sessions/future": [{ sessions: { future: ODD } }, "was used in the future", "date -u"],
  "sessions/strays": [{ sessions: { strays: ODD } }, "what no session is: a:1", null],
  "other type/in-use": [
    others(HOUR_MS),
    "3 sessions of type sqlite in session/ (a.db, b.db, 1 more), the last one used 60 min ago: those of type file are others",
    'Session.Type = "file"',
  ],
  "other type/served": [
    others(HOUR_MS, true),
    "which has a daemon of its own",
    `gambas-sessiond doctor --root ${ROOT} --type sqlite`,
  ],
  "other type/left": [
    others(48 * HOUR_MS),
    "the last one used 2 d ago, which nobody seems to use",
    `gambas-sessiond convert --from sqlite --to file --root ${ROOT} --dry-run`,
  ],
  "applications/several": [
    {
      applications: {
        seen: [
          { folder: "/srv/shop", pids: [1] },
          { folder: "/srv/blog", pids: [2, 3] },
        ],
      },
    },
    "(a guess): /srv/shop (1 process), /srv/blog (2 processes)",
    "export GAMBAS_SESSION_ROOT=",
  ],
  "applications/cookie-paths": [
    { sessions: { cookiePaths: ["/shop", "/blog"] } },
    "(/shop, /blog): more than one application may use this root, which is a guess",
    "export GAMBAS_SESSION_ROOT=",
  ],
};
