// Sessions of express-session in ours: the one door to the files of this folder.

export { COOKIE_KEY } from "./base.ts";
export {
  Cookie,
  type CookieOptions,
  type CookieRecord,
  cookieOfRecord,
  recordOf,
  secondsOf,
  setCookieLine,
} from "./cookie.ts";
export { GambasStore, type GambasStoreOptions } from "./gambas-store.ts";
export { SessionStore, type SessionValues } from "./session-store.ts";
export { idForSid, ShownSids, shownSid } from "./sids.ts";
export { storable, storeAsJson } from "./storable.ts";
