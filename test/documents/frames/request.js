import { Session, SessionError, connect, session, sessionOf, typed } from "gambas-session";

await Session.Run({ remoteAddress: "192.0.2.7" }, async () => {
// block
});
