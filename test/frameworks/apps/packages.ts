// An application of express-session's world: passport, connect-flash, csurf and csrf-csrf, with sessions of the kind that is told.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import express from "express";
import { announce } from "./pages.ts";

const load = createRequire(import.meta.url);
const passport = load("passport");
const { doubleCsrf } = load("csrf-csrf");
const [kind] = process.argv.slice(2);

function sessions(): express.RequestHandler {
  const options = { secret: "a secret", resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } };
  if (kind === "drop-in") return load("gambas-session/express-session")(options);
  const { GambasStore } = load("gambas-session/store");
  return load("express-session")({ ...options, ...(kind === "store" && { store: new GambasStore() }) });
}

/** No plain object: what a database hands out. */
class User {
  readonly name: string;
  readonly #password = "secret";

  constructor(name: string) {
    this.name = name;
  }

  toJSON(): object {
    return { name: this.name, letters: this.#password.length };
  }
}

class Trusting extends passport.Strategy {
  name = "trusting";

  authenticate(req: express.Request): void {
    (this as unknown as { success(user: User): void }).success(new User(String(req.query.user)));
  }
}

passport.use(new Trusting());
passport.serializeUser((user: User, done: (error: null, user: User) => void) => done(null, user));
passport.deserializeUser((user: User, done: (error: null, user: User) => void) => done(null, user));

const { generateCsrfToken, doubleCsrfProtection } = doubleCsrf({
  getSecret: () => "another secret",
  getSessionIdentifier: ({ session }: { session: { id: string } }) => session.id,
  cookieName: "csrf",
  cookieOptions: { secure: false },
});

/** What the packages put into a request. */
// biome-ignore lint/suspicious/noExplicitAny: the packages have no types here
type Loose = any;

const app = express();
app.use(sessions(), load("cookie-parser")(), load("connect-flash")(), passport.session());

app.get("/cart/:item", (req: Loose, res) => {
  req.session.cart = [...(req.session.cart ?? []), req.params.item];
  res.json(req.session.cart);
});
const me = (req: Loose, res: express.Response): void => {
  res.json({ user: req.user ?? null, cart: req.session.cart ?? null, isIn: req.isAuthenticated() });
};
app.get("/me", me);
app.get("/login", passport.authenticate("trusting"), me);
app.get("/login-and-keep", passport.authenticate("trusting", { keepSessionInfo: true }), me);
app.get("/logout", (req: Loose, res, next) => {
  req.logout((error: unknown) => (error ? next(error) : me(req, res)));
});
app.get("/say/:text", (req: Loose, res) => {
  req.flash("info", req.params.text);
  res.redirect("/said");
});
app.get("/said", (req: Loose, res) => {
  res.json(req.flash("info"));
});
const csurf = load("csurf")();
app.get("/csurf", csurf, (req: Loose, res) => {
  res.send(req.csrfToken());
});
app.post("/csurf", csurf, (_req, res) => {
  res.send("taken");
});
app.get("/double", (req: Loose, res) => {
  req.session.seen = true;
  res.send(generateCsrfToken(req, res));
});
app.post("/double", doubleCsrfProtection, (_req, res) => {
  res.send("taken");
});
app.use(((error, _req, res, _next) => {
  res.status(error.statusCode ?? 500).send(String(error.message));
}) as express.ErrorRequestHandler);

await announce(createServer(app));
