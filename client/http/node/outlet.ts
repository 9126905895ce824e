// An outlet is the place where a response leaves. The gate has it keep what is about to leave, and then let it go or replace it. Each kind of
// response has an outlet of its own, as far down as that kind allows.

export interface Outlet {
  /** The headers have really left, whatever the response says. */
  readonly haveHeadersLeft: boolean;
  /** The application has ended the response. */
  readonly isEnded: boolean;
  /** Adds a Set-Cookie line to the headers. */
  addCookie(line: string): void;
  /** Keeps from now on everything that would leave. */
  hold(): void;
  /** Lets everything go that was kept. */
  release(): void;
  /** Answers 500 with this text in place of what was kept, or cuts a response that has begun; later writes have no effect. */
  replace(text: string): void;
}

/** The gate, as its outlet knows it. */
export interface Guard {
  /** Asked when headers or the end are about to leave. False: the outlet holds now. */
  mayLeave(): boolean;
  /** What `release` let go could not be sent, and nobody is left to catch the error. */
  broke(error: unknown): void;
}

export const CONTENT_TYPE = "text/plain; charset=utf-8";
