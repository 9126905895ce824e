// The door to what goes through all sessions of a store, one after the other, and wakes none that need not be woken.

export { IdPages } from "./id-pages.ts";
export { Listing } from "./listing.ts";
export { Sweep } from "./sweep.ts";
