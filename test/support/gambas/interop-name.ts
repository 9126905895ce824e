// How suites that need the real Gambas are told apart from all others. Shared by describeGambas and the reporter.

const prefix = "Gambas: ";

export function interopName(name: string): string {
  return prefix + name;
}

export function isInterop(fullName: string): boolean {
  return fullName.startsWith(prefix);
}

export const requireGambas: boolean = process.env.GAMBAS_SESSION_REQUIRE_GAMBAS === "1";

export const gambasPackages =
  "gambas3-runtime gambas3-devel gambas3-gb-web gambas3-gb-util-web (Debian), and mount namespaces (unshare, nsenter)";
