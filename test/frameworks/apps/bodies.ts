// The Response of a page.
import type { Page } from "./pages.ts";

export function responseOf({ status = 200, headers = {}, body, chunks }: Page): Response {
  return new Response(chunks === undefined ? (body ?? null) : streamOf(chunks()), { status, headers });
}

/** Made on demand: nothing runs before somebody reads. */
function streamOf(chunks: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
    },
    { highWaterMark: 0 },
  );
}
