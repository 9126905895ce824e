// Reads the small forms of the example. Any other body is refused with the status that says why.

import type { IncomingMessage } from "node:http";

const MAX_FORM_BYTES = 4 * 1024;
/** A body that is longer than this is not read to its end, so that its refusal may not arrive. */
const MAX_READ_BYTES = 1024 * 1024;
const FORM_TYPE = "application/x-www-form-urlencoded";

/** A request that cannot be carried out as it is. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** @throws Refusal 413, 415. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  const type = req.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  const body = await readBody(req);
  if (type !== FORM_TYPE) throw new Refusal(415, `A form is sent as ${FORM_TYPE}.`);
  return new URLSearchParams(body.toString("utf8"));
}

/** Reads more than it keeps: a client that still sends does not see an answer. */
async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= MAX_FORM_BYTES) chunks.push(chunk);
    else if (bytes > MAX_READ_BYTES) break;
  }
  if (bytes > MAX_FORM_BYTES) throw new Refusal(413, `A form has at most ${MAX_FORM_BYTES} bytes.`);
  return Buffer.concat(chunks);
}
