// The part of session-file-store that the benchmark uses; the package brings no types.
declare module "session-file-store" {
  import type session from "express-session";

  interface Options {
    path: string;
    ttl: number;
    /** -1: never. */
    reapInterval: number;
    logFn: (text: string) => void;
  }

  export default function bind(express: typeof session): new (options: Options) => session.Store;
}
