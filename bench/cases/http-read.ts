// Question: how many pages a second can be served that read their session? express-session touches the session in its store with
// every request, gambas-session renews its time stamp once a second: each does what it does for its users.

import type { Case } from "./case.ts";
import { type HttpCase, httpCaseOf } from "./http-case.ts";

const definition: HttpCase = {
  name: "http-read",
  question: "serve a page that reads its session, two workers",
  path: "/read",
  on: "files",
};

export const httpRead: Case = httpCaseOf(definition);

/** The same where sessions are on Redis, beside those who keep theirs there as well. */
export const redisHttpRead: Case = httpCaseOf({
  name: "redis-http-read",
  question: "serve a page that reads its session, two workers, sessions on Redis",
  path: "/read",
  on: "redis",
});
