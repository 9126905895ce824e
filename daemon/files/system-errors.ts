// Tells errors of the operating system apart, by their codes.

export function isMissing(error: unknown): boolean {
  return isSystemError(error, "ENOENT");
}

/** Whether the error has one of these codes; without codes, whether it is an error of the system at all. */
export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && (codes.length === 0 || codes.includes(code));
}

/** Whether this process, or the system, may open no more files. */
export function isOutOfDescriptors(error: unknown): boolean {
  return isSystemError(error, "EMFILE", "ENFILE");
}

/** Whether there is no room on the disk for what was to be written, or this user may have no more of it. */
export function isFull(error: unknown): boolean {
  return isSystemError(error, "ENOSPC", "EDQUOT");
}
