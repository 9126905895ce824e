// What the figures were measured on.

import { execFileSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { availableParallelism, cpus, release, tmpdir, totalmem } from "node:os";

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memory_gb: number;
  readonly kernel: string;
  readonly node: string;
  /** File system of the temporary directory, which "disk" means. */
  readonly disk: string;
  readonly redis: string;
  readonly memcached: string;
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: "ext4",
  16914836: "tmpfs",
  1481003842: "xfs",
  2435016766: "btrfs",
  2035054128: "overlayfs",
  801189825: "zfs",
};

export function describeMachine(): Machine {
  const { type } = statfsSync(tmpdir());
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    memory_gb: Math.round(totalmem() / 1024 ** 3),
    kernel: release().split(".", 2).join("."),
    node: process.versions.node,
    disk: FILE_SYSTEMS[type] ?? `file system 0x${type.toString(16)}`,
    redis: versionOf("redis-server"),
    memcached: versionOf("memcached"),
  };
}

function versionOf(program: string): string {
  try {
    const said = execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return /\d+\.\d+\.\d+/.exec(said)?.[0] ?? "unknown";
  } catch {
    return "not installed";
  }
}
