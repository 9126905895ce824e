// Which error the operating system has reported, by its code.

export function isMissing(error: unknown): boolean {
  return isSystemError(error, "ENOENT");
}

/** Without codes: whether it is any error of the system. */
export function isSystemError(error: unknown, ...codes: readonly string[]): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && (codes.length === 0 || codes.includes(code));
}
