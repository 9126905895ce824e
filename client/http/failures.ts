// Failures of an exchange that nobody can catch, and what was thrown as an error.

/** A failure that has nobody to catch it. */
export function warn(failure: unknown): void {
  process.emitWarning(asError(failure));
}

/** Anything can be thrown, even a value that has no text. */
export function asError(thrown: unknown): Error {
  try {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  } catch {
    return new Error("Something was thrown that cannot be shown.");
  }
}
