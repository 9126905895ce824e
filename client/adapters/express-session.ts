// gambas-session/express-session: in place of express-session. `require` gives the function itself, as that of express-session does.

export {
  Cookie,
  type CookieOptions,
  type ExpressSession,
  type ExpressSessionOptions,
  session,
  session as default,
  session as "module.exports",
} from "../express/drop-in.ts";
