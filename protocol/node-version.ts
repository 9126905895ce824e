// Which Node runs the package. Written so that an older one can read it, and imports nothing: it must be heard before anything else fails.

const OLDEST = [20, 19] as const;

/** @throws Error for a version of Node that is too old. */
export function checkNode(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  throw new Error(`gambas-session needs Node ${OLDEST.join(".")} or newer; this is ${version}.`);
}
