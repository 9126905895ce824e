// What the settings come to in memory, beyond a Node process: what can be held for each thing that a setting counts. Measured; a test
// compares it with OPERATING, and another one a daemon with it.

import type { Settings } from "../../daemon/config.ts";

export interface MemoryBound {
  readonly what: string;
  readonly setting: keyof Settings;
  /** Bytes for each that the setting counts. */
  readonly each: number;
}

export const MEMORY_BOUNDS: readonly MemoryBound[] = [
  { what: "sessions used lately, those on the shelf and those awake", setting: "cacheBytes", each: 1 },
  { what: "slabs that small images of those awake are cut from", setting: "cacheBytes", each: 1 / 4 },
  {
    what: "fingerprints of replaced values, and of those that took their places",
    setting: "maxReplacedValues",
    each: 64,
  },
  { what: "ended sessions", setting: "maxTombstones", each: 140 },
  { what: "what is known of open files, and of files that were open", setting: "openSessions", each: 4096 },
];

export function boundBytes(settings: Pick<Settings, MemoryBound["setting"]>): number {
  return MEMORY_BOUNDS.reduce((sum, { setting, each }) => sum + each * Number(settings[setting]), 0);
}
