// WebSockets with ws: each message belongs to the session that the upgrade request came with. A page begins it, as it needs a cookie.
//   npm install ws gambas-session && PORT=3000 node sockets.js

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Session, session } from "gambas-session";
import { WebSocketServer } from "ws";

const withSession = session();
const server = createServer((req, res) => {
  withSession(req, res, () => {
    Session.messages ??= 0;
    res.end(`${Session.messages} messages so far\n`);
  });
});

new WebSocketServer({ server }).on("connection", (socket, request) => {
  socket.on("message", async () => {
    const seen = await Session.Run({ request }, () =>
      Session.Transaction(() => {
        Session.messages = Number(Session.messages) + 1;
        return Session.messages;
      }),
    );
    socket.send(`message ${seen}`);
  });
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
