// Where a kind of sessions is not as express-session is, and why. Sentences are those of the cases.
import type { KindName } from "./kinds.ts";

interface Exception {
  readonly sentence: string;
  readonly why: string;
}

export const EXCEPTIONS: Readonly<Record<KindName, readonly Exception[]>> = {
  "drop-in": [
    {
      sentence: "saves nothing under an id that is no text",
      why: "req.sessionID can be read only: the id of a session is drawn here, and is that of its file.",
    },
    {
      sentence: "with resave writes a session that was not changed",
      why: "what was not changed is never written; its time of the last use is renewed all the same.",
    },
    {
      sentence: "writes a session that was not changed where resave is not told",
      why: "as before.",
    },
    {
      sentence: "answers with an error where no secret is told",
      why: "no cookie is signed: an id is drawn from a cryptographic generator, and looked up.",
    },
    {
      sentence: "does without sessions while the store says that it is not connected",
      why: "a request whose session cannot be read is told so, and one without a cookie needs no store.",
    },
    {
      sentence: "reads the id from req.cookies, as cookie-parser has it",
      why: "only the header of the request counts; express-session calls the other way deprecated.",
    },
    {
      sentence: "with a date that is none is told to next",
      why: "the option is refused when the application starts.",
    },
    {
      sentence: "is partitioned also where it is not for HTTPS alone",
      why: "a cookie that browsers drop is refused when the application starts.",
    },
  ],
  store: [],
  control: [
    {
      sentence: "twenty requests at once that push different keys lose none of them",
      why: "express-session saves whole sessions, and its own store keeps the last one.",
    },
  ],
};
