// A client of a socket, as a browser is one: node socket-client.js ws|polling|websocket URL COOKIE MESSAGE… prints the answers as JSON.
import { once } from "node:events";
import { io } from "socket.io-client";
import WebSocket from "ws";

const [kind = "", url = "", cookie = "", ...messages] = process.argv.slice(2);
const headers: Record<string, string> = cookie === "" ? {} : { cookie };
const answers: string[] = [];

if (kind === "ws") {
  const socket = new WebSocket(url, { headers });
  await once(socket, "open");
  for (const message of messages) {
    socket.send(message);
    const [data] = await once(socket, "message");
    answers.push(String(data));
  }
  socket.close();
} else {
  const socket = io(url, { transports: [kind], extraHeaders: headers, reconnection: false });
  for (const message of messages) answers.push(await socket.emitWithAck("count", message));
  socket.close();
}
console.log(JSON.stringify(answers));
