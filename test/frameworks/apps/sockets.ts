// ws 8 and socket.io 4 beside pages of node:http: a message of a socket belongs to the session that its request came with.
import { createServer } from "node:http";
import { Session, session } from "gambas-session";
import { Server } from "socket.io";
import { WebSocketServer } from "ws";
import { announce, OPTIONS, visit } from "./pages.ts";

const withSession = session(OPTIONS);
const server = createServer((req, res) => {
  if (req.url?.startsWith("/socket.io/")) return;
  withSession(req, res, async () => {
    const { status = 200, headers = {}, body } = await visit(req.url);
    res.writeHead(status, headers).end(body);
  });
});

/** What both do with a message: count in the session, or say why not. */
async function count(request: Parameters<typeof withSession>[0], message: string): Promise<string> {
  try {
    return await Session.Run({ request }, () =>
      Session.Transaction(() => {
        Session[message] = Number(Session[message] ?? 0) + 1;
        return String(Session[message]);
      }),
    );
  } catch (error) {
    return String((error as { readonly code?: unknown }).code);
  }
}

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  if (request.url !== "/ws") return;
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("message", async (data) => client.send(await count(request, String(data))));
  });
});

new Server(server).on("connection", (socket) => {
  socket.on("count", async (key: string, answer: (text: string) => void) => answer(await count(socket.request, key)));
});

await announce(server);
