// The two system calls Node does not have: record locks and the exchange of two names. Where the addon does not load
// (musl, say) both are absent, the daemon says so once and in its status, and works with plain rename and without Gambas' lock.

import { createRequire } from "node:module";

interface Native {
  readonly tryLock: (fd: number) => boolean;
  readonly unlock: (fd: number) => void;
  readonly exchange: (from: string, to: string) => void;
}

const loaded = loadNative();
/** Undefined where the addon cannot be loaded; `nativeProblem` says why. */
export const native: Native | undefined = loaded.native;
export const nativeProblem: string | undefined = loaded.problem;

function loadNative(): { readonly native?: Native; readonly problem?: string } {
  try {
    const addon = createRequire(import.meta.url)("fs-native-extensions") as typeof import("fs-native-extensions");
    return { native: { tryLock: addon.tryLock, unlock: addon.unlock, exchange: addon.swapSync } };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
