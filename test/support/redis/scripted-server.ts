// A server on 127.0.0.1 that answers what a test wants, right or wrong: what no real Redis would do.

import { once } from "node:events";
import { createServer, type Socket } from "node:net";

/** What each command is answered, by its name in upper case, in RESP; undefined: nothing at all. */
export type Answers = (command: string, socket: Socket) => string | undefined;

export interface ScriptedServer {
  readonly url: string;
  close(): Promise<void>;
}

/** What a healthy server says before anything is asked of it. */
export function healthy(command: string): string | undefined {
  const info =
    "redis_version:7.0.0\r\nredis_mode:standalone\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
  if (command.startsWith("HELLO")) return "%1\r\n+server\r\n+redis\r\n";
  if (command.startsWith("INFO")) return `$${info.length}\r\n${info}\r\n`;
  if (command.startsWith("TIME")) return "*2\r\n$1\r\n1\r\n$1\r\n0\r\n";
  if (command.startsWith("SCAN")) return "*2\r\n$1\r\n0\r\n*0\r\n";
  if (command.startsWith("WAIT")) return ":0\r\n";
  if (command.startsWith("EVALSHA")) return "-NOSCRIPT No matching script.\r\n";
  if (command.startsWith("EVAL")) return "$0\r\n\r\n";
  return "+OK\r\n";
}

export async function scriptedServer(answers: Answers): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let waiting = "";
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      const { commands, rest } = commandsIn(waiting + bytes.toString("latin1"));
      waiting = rest;
      for (const command of commands) {
        const answer = answers(command, socket);
        if (answer !== undefined && !socket.destroyed) socket.write(answer);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    url: `redis://127.0.0.1:${port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Whole commands, their words with spaces between, and what is left of the last one. */
function commandsIn(text: string): { readonly commands: readonly string[]; readonly rest: string } {
  const commands: string[] = [];
  let at = 0;
  for (;;) {
    const [head, count] = /^\*(\d+)\r\n/.exec(text.slice(at)) ?? [];
    if (head === undefined) return { commands, rest: text.slice(at) };
    let end = at + head.length;
    const words: string[] = [];
    while (words.length < Number(count)) {
      const [size, length] = /^\$(\d+)\r\n/.exec(text.slice(end)) ?? [];
      const start = end + (size?.length ?? 0);
      if (size === undefined || text.length < start + Number(length) + 2) return { commands, rest: text.slice(at) };
      words.push(text.slice(start, start + Number(length)));
      end = start + Number(length) + 2;
    }
    commands.push(words.join(" ").toUpperCase());
    at = end;
  }
}
