// The door to one Redis server: connections to it, who may be entrusted with sessions, calls that end in their time.

export { type Admitted, admit, visit, type Wanted } from "./admission.ts";
export { type Argument, Connection, type ConnectionOptions, type Replicated } from "./connection.ts";
export { type Endpoint, sentinelAt, serverAt } from "./endpoint.ts";
export type { Facts } from "./facts.ts";
export { RedisServer, type Server } from "./redis-server.ts";
export { Script } from "./script.ts";
export { ServerError } from "./server-error.ts";
