// Question: how many pages a second can be served that change their session? The response leaves when the change is acknowledged.

import type { Case } from "./case.ts";
import { type HttpCase, httpCaseOf } from "./http-case.ts";

const definition: HttpCase = {
  name: "http-write",
  question: "serve a page that changes a value of its session, two workers; the response waits for the store",
  path: "/write",
  on: "files and tmpfs",
};

export const httpWrite: Case = httpCaseOf(definition);

/** The same where sessions are on Redis, beside those who keep theirs there as well. */
export const redisHttpWrite: Case = httpCaseOf({
  name: "redis-http-write",
  question: "serve a page that changes a value of its session, two workers, sessions on Redis",
  path: "/write",
  on: "redis",
});
