// A Sentinel on 127.0.0.1 that says what a test wants: of real ones nobody knows when they hear of a failover.

import { healthy, type ScriptedServer, scriptedServer } from "./scripted-server.ts";

export interface Said {
  readonly port: number;
  readonly host?: string;
  readonly epoch: number;
  /** Of a failover that goes on. */
  readonly state?: string;
  /** Where the failover has come to when a replica was promoted: the other answer has the old port still. */
  readonly oldPort?: number;
}

export class FakeSentinel {
  says: Said;
  /** "says nothing": takes connections, and leaves them waiting. */
  does: "answers" | "says nothing" | "refuses" = "answers";
  /** So often it has named the master. */
  asked = 0;
  readonly #server: ScriptedServer;

  private constructor(says: Said, server: ScriptedServer) {
    this.says = says;
    this.#server = server;
  }

  static async start(says: Said): Promise<FakeSentinel> {
    const server = await scriptedServer((command) => sentinel.#answer(command));
    const sentinel: FakeSentinel = new FakeSentinel(says, server);
    return sentinel;
  }

  /** As a URL names it. */
  get place(): string {
    return this.#server.url.replace("redis://", "");
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #answer(command: string): string | undefined {
    if (this.does === "says nothing") return undefined;
    if (!command.startsWith("SENTINEL")) return healthy(command);
    const { host = "127.0.0.1", port, epoch, state, oldPort = port } = this.says;
    if (command.startsWith("SENTINEL GET-MASTER-ADDR-BY-NAME")) {
      this.asked++;
      return words([host, port]);
    }
    if (this.does === "refuses") return "-NOPERM this user has no permissions to run the 'sentinel|master' command\r\n";
    const going = state === undefined ? [] : ["failover-state", state];
    return words([
      ...["name", "m", "ip", host, "port", oldPort, ...going],
      ...["config-epoch", epoch, "num-slaves", 2, "num-other-sentinels", 2],
    ]);
  }
}

/** A list, in RESP. */
function words(list: readonly (string | number)[]): string {
  return [`*${list.length}`, ...list.flatMap((one) => [`$${String(one).length}`, String(one)]), ""].join("\r\n");
}
