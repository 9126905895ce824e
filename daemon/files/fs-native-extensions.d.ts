// The part of fs-native-extensions that we use; the package brings no types.
declare module "fs-native-extensions" {
  /** Takes an open-file-description write lock on the whole file; false when another open file holds a lock on it. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
  /** Exchanges two names atomically. */
  export function swapSync(from: string, to: string): void;
}
