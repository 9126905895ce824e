// What the process of the soak can be asked.

export interface SoakCalls {
  open: { readonly request: { readonly root: string; readonly socket: string }; readonly reply: undefined };
  /** Makes, changes, reads and ends sessions, so many operations in all. */
  run: { readonly request: number; readonly reply: undefined };
}
