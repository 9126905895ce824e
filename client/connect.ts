// connect(): a client for those who want no static API, and the default one of `Session.Run`.

import type { Client } from "./api.ts";
import { offerAsDefault } from "./defaults.ts";
import { Client as LinkedClient } from "./link/client.ts";
import { type ConnectOptions, checkConnectOptions } from "./options.ts";

/**
 * Connects this process to the daemon of a root and starts one when none answers (unless `spawn: false`).
 *
 * @throws SessionError ERR_BAD_OPTION, ERR_DAEMON_UNAVAILABLE, ERR_PROTOCOL_VERSION, ERR_SOCKET_PATH.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  checkConnectOptions(options);
  const client = new LinkedClient(options);
  await client.ready();
  offerAsDefault(client);
  return client;
}
