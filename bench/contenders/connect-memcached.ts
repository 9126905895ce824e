// connect-memcached over a Unix socket. Keeps nothing over a restart and may evict.

import bind from "connect-memcached";
import session from "express-session";
import type { Entry, Places } from "./contender.ts";
import { StoreSubject, siteOn } from "./express-store.ts";

const MemcachedStore = bind(session);

function makeStore(places: Places): InstanceType<typeof MemcachedStore> {
  return new MemcachedStore({ hosts: [places.socket] });
}

export const connectMemcached: Entry = {
  async open(places) {
    const store = makeStore(places);
    return new StoreSubject(store, () => store.client.end());
  },
  openSite: async (places) => siteOn(makeStore(places)),
};
