// A handler of the Pages Router below session().
import type { IncomingMessage, ServerResponse } from "node:http";
import { visit } from "../../../apps/pages.ts";

export default async function count(_req: IncomingMessage, res: ServerResponse): Promise<void> {
  res.end((await visit("count")).body);
}
