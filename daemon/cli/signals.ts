// What each signal is to a daemon. Supervisors send to whole trees what is meant for the application in them: a daemon leaves when somebody asks
// it to, and does not hear the rest. Of those that are not named here SIGKILL and SIGSTOP cannot be heard, others do nothing by themselves, and
// some say that the process is broken (SIGSEGV, SIGABRT and their like): after these the next daemon finds what it finds after a `kill -9`.

/** Node would open a debugger's port at SIGUSR1, and end at most of the others. A package we need raises them again when nobody else listens. */
const NEVER_HEARD: readonly NodeJS.Signals[] = [
  ...(["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGPIPE", "SIGIO", "SIGPOLL"] as const),
  ...(["SIGPWR", "SIGSTKFLT", "SIGXCPU", "SIGXFSZ"] as const),
];
/** A terminal sends these to whoever is in its foreground. A daemon that a worker started has no terminal. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ["SIGINT", "SIGHUP", "SIGQUIT"];
const STOPS_FROM_TERMINAL: readonly NodeJS.Signals[] = ["SIGTSTP", "SIGTTIN", "SIGTTOU"];

/** Aborted when the daemon is to leave. */
export function listenToSignals(hasTerminal: boolean): AbortSignal {
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  const doNothing = (): void => undefined;
  process.on("SIGTERM", leave);
  for (const name of FROM_TERMINAL) process.on(name, hasTerminal ? leave : doNothing);
  for (const name of NEVER_HEARD) process.on(name, doNothing);
  if (!hasTerminal) for (const name of STOPS_FROM_TERMINAL) process.on(name, doNothing);
  return leaving.signal;
}
