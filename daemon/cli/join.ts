// For a daemon that was not elected: waits until the one that was answers.

import { connect } from "node:net";

const PAUSE_MS = 10;

/** True when somebody answers on the socket; false when nobody does for a while, so that an election may be tried again. */
export async function waitUntilServed(socket: string, tries: number): Promise<boolean> {
  for (let count = 0; count < tries; count++) {
    if (await isServed(socket)) return true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const tell = (isServing: boolean): void => {
      socket.destroy();
      resolve(isServing);
    };
    socket.once("connect", () => tell(true));
    socket.once("error", () => tell(false));
  });
}
