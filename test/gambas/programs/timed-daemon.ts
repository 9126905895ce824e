// The daemon of a house, in a process in which time passes at a word: what is told by the clock that nobody sets, all at once.
import { startDaemon } from "gambas-session/daemon";
import { serveCalls } from "../../support/processes.ts";

let passedMs = 0;
const realNow = performance.now.bind(performance);
performance.now = () => realNow() + passedMs;

await startDaemon({ logLevel: "error", ...JSON.parse(process.env.DAEMON_OPTIONS ?? "{}") });

serveCalls({
  pass(ms: number) {
    passedMs += ms;
  },
});
