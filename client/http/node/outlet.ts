// What the gate needs of a response: a place where what is about to leave can be kept, and let go or replaced. One implementation for each
// kind of response, as far down as its kind allows.

export interface Outlet {
  /** The headers have really left, whatever the response says. */
  readonly haveHeadersLeft: boolean;
  /** The application has ended the response. */
  readonly isEnded: boolean;
  /** Goes out among the headers. */
  addCookie(line: string): void;
  /** From now on whatever would leave is kept. */
  hold(): void;
  /** Lets go of what was kept. */
  release(): void;
  /** Answers 500 with this text in place of what was kept, or cuts a response that has begun; what follows has no effect. */
  replace(text: string): void;
}

/** Whom an outlet asks. */
export interface Guard {
  /** Asked when headers or the end are about to leave. False: the outlet holds now. */
  mayLeave(): boolean;
  /** What was let go could not be sent, and nobody is left to catch it. */
  broke(error: unknown): void;
}

export const CONTENT_TYPE = "text/plain; charset=utf-8";
