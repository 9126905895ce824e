// A daemon that runs in this process, as its caller sees it. Public: so it names nothing of the inside.

export interface Daemon {
  /** Path of the Unix socket it answers on. */
  readonly socket: string;
  /** Answers what is in flight, gives up the socket and the election, and resolves when nothing is left. */
  stop(): Promise<void>;
  /** Resolves when it has stopped, by `stop` or because its place was taken from it. */
  readonly stopped: Promise<void>;
  /** Its place was taken from it: it has not ended because somebody asked for that. */
  readonly hasLostPlace: boolean;
}
