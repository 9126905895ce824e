// Floor of HTTP: the same page with no session at all.

import type { Entry } from "./contender.ts";

const CONSTANT = { get: () => 1000, set: () => undefined };

export const noSession: Entry = {
  openSite: async () => ({ middleware: (_req, _res, next) => next(), valuesOf: () => CONSTANT }),
};
