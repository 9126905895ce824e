// What a server says of itself in INFO, and what of it speaks against keeping sessions there.

/** Undefined: the server, or whatever answers for it, does not say. */
export interface Facts {
  /** As people write it: "Redis 7.0.15". */
  readonly server: string;
  /** The version of Redis that it is like. */
  readonly version: string;
  readonly mode: string | undefined;
  readonly role: string | undefined;
  /** Of a replica: where it copies from. */
  readonly master: string | undefined;
  readonly evictionPolicy: string | undefined;
  readonly keepsLog: boolean | undefined;
  readonly replicas: number;
  /** Bytes that the replica which is furthest behind has not confirmed yet; undefined without replicas. */
  readonly replicaLagBytes: number | undefined;
}

export interface Accepted {
  /** A server that throws sessions away when its memory is full. */
  readonly acceptEviction: boolean;
  /** A server that forgets acknowledged sessions with its process. */
  readonly acceptLoss: boolean;
}

/** @param info the answer of INFO. */
export function factsIn(info: string): Facts {
  const lines = info.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line)?.slice(1) ?? []);
  const told = new Map(lines as [string, string][]);
  const version = told.get("redis_version") ?? "0";
  const valkey = told.get("valkey_version");
  const aof = told.get("aof_enabled");
  const replicas = [...told].flatMap(([name, value]) => (/^slave\d+$/.test(name) ? [value] : []));
  const offset = Number(told.get("master_repl_offset") ?? 0);
  const lags = replicas.map((value) => offset - Number(/\boffset=(\d+)/.exec(value)?.[1] ?? 0));
  return {
    server: valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}`,
    version,
    mode: told.get("redis_mode") ?? told.get("server_mode"),
    role: told.get("role"),
    master: told.has("master_host") ? `${told.get("master_host")}:${told.get("master_port")}` : undefined,
    evictionPolicy: told.get("maxmemory_policy"),
    keepsLog: aof === undefined ? undefined : aof === "1",
    replicas: replicas.length,
    replicaLagBytes: lags.length === 0 ? undefined : Math.max(0, ...lags),
  };
}

/** Whether it is the one that writes go to; only then is there a use in asking for its faults. */
export function isMaster({ role, mode }: Facts): boolean {
  return role === "master" && mode !== "sentinel";
}

/** The first reason why sessions must not be kept there, with what to do, or undefined. */
export function faultOf(facts: Facts, wanted: Accepted & { readonly isCluster: boolean }): string | undefined {
  const { server, version, mode, role, master, evictionPolicy, keepsLog } = facts;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    return `is ${server === "Redis 0" ? "of no version that it tells" : server}, and Redis 6.2 or Valkey is needed.`;
  }
  if (mode === "sentinel") return "is a Sentinel: name it as redis+sentinel://host:port/name.";
  if (mode === "cluster" && !wanted.isCluster) {
    return "is a node of a cluster: name two of its nodes or more, with commas between: redis://host:port,redis://host2:port.";
  }
  if (mode !== "cluster" && wanted.isCluster)
    return "is no node of a cluster, though several URLs are named: name one.";
  if (role !== "master")
    return `is a replica${master === undefined ? "" : ` of ${master}`} and takes no writes: name its master.`;
  if (evictionPolicy !== "noeviction" && !wanted.acceptEviction) {
    const does =
      evictionPolicy === undefined ? "does not tell whether it evicts" : `evicts (maxmemory-policy ${evictionPolicy})`;
    return `${does}, so sessions may vanish, and ended ones come back, when its memory is full: set maxmemory-policy noeviction there, or acceptEviction here.`;
  }
  if (keepsLog !== true && !wanted.acceptLoss) {
    const does =
      keepsLog === undefined
        ? "does not tell whether it keeps its log of writes"
        : "keeps no log of writes (appendonly no)";
    return `${does}, so what it acknowledged is lost when its process ends: set appendonly yes there, or acceptLoss here.`;
  }
  return undefined;
}
