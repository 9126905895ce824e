// What the load generator can be asked.

import type { Sample } from "../crew/sample.ts";

export interface LoadCalls {
  /** Opens connections to a site and logs each of them in. */
  open: {
    readonly request: { readonly site: string; readonly port: number; readonly connections: number };
    readonly reply: undefined;
  };
  run: {
    readonly request: { readonly site: string; readonly path: string; readonly ms: number };
    readonly reply: Sample;
  };
  /** Sum over all sessions of a site of what its page shows as visits, beyond those at the login. */
  visits: { readonly request: string; readonly reply: number };
}
