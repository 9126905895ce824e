// The two system calls that Node does not have: record locks and the exchange of two names. Where the addon does not
// load (musl, say) both are absent: the daemon says so once in its log and always in its status, and works with plain
// rename and without record locks.

import { createRequire } from "node:module";
import { isSystemError } from "./system-errors.ts";

interface Native {
  readonly tryLock: (fd: number) => boolean;
  readonly unlock: (fd: number) => void;
  readonly exchange: (from: string, to: string) => void;
}

/**
 * The addon is built for these platforms: if it is missing on one, the installation is not whole, or is being replaced.
 */
const MADE_FOR = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

const loaded = loadNative();
/** Undefined where the addon cannot be loaded; `nativeProblem` says why. */
export const native: Native | undefined = loaded.native;
export const nativeProblem: string | undefined = loaded.problem;

/** Whether the error of a system call says that the file system does not support the call at all. */
export function isUnsupported(error: unknown): boolean {
  return isSystemError(error, "EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP");
}

/** Throws if the installation is not whole: a daemon that started without record locks would stay without them. */
function checkIsWhole(error: unknown): void {
  const isFound = !isSystemError(error, "MODULE_NOT_FOUND", "ADDON_NOT_FOUND");
  if (isFound || !MADE_FOR.includes(`${process.platform}-${process.arch}`)) return;
  const what = "fs-native-extensions, which this package needs, is not there or not whole: install the package again";
  throw new Error(what, { cause: error });
}

function loadNative(): { readonly native?: Native; readonly problem?: string } {
  try {
    const addon = createRequire(import.meta.url)("fs-native-extensions") as typeof import("fs-native-extensions");
    return { native: { tryLock: addon.tryLock, unlock: addon.unlock, exchange: named(addon.swapSync) } };
  } catch (error) {
    checkIsWhole(error);
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** The exchange, with the call and the files named in its errors: the addon's own errors do not name them. */
function named(swap: Native["exchange"]): Native["exchange"] {
  return (from, to) => {
    try {
      swap(from, to);
    } catch (error) {
      if (error instanceof Error && "code" in error)
        error.message = `${error.code}: ${error.message}, exchange '${from}' and '${to}'`;
      throw error;
    }
  };
}
