// The part of connect-memcached that the benchmark uses; the package brings no types.
declare module "connect-memcached" {
  import type session from "express-session";

  interface MemcachedStore extends session.Store {
    readonly client: { end(): void };
  }

  export default function bind(express: typeof session): new (options: { hosts: string[] }) => MemcachedStore;
}
