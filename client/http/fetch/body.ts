// The body of a Response that is read when the handler is long done, by code that knows nothing of its context. Knows nothing of sessions.

/** What the reading of a body belongs to. */
export interface Reading {
  /** Calls `fn` in the context of the request. */
  run<T>(fn: () => T): T;
  /** The whole body was read: it does not end before this has resolved, and breaks off if this rejects. */
  end?(): Promise<void>;
  /** Nobody reads on, or nothing more is to be had. Never rejects. */
  cut?(): Promise<void>;
}

/** The same bytes, asked for when somebody wants them and not before. */
export function bodyWithin(reading: Reading, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = reading.run(() => body.getReader());
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    const { done, value } = await reading.run(() => reader.read());
    if (!done) {
      controller.enqueue(value);
      return;
    }
    await reading.end?.();
    controller.close();
  };
  return new ReadableStream(
    {
      pull: (controller) => pull(controller).catch((error: unknown) => breakOff(reading, error)),
      cancel: (reason) => reading.run(() => reader.cancel(reason)).finally(() => reading.cut?.()),
    },
    { highWaterMark: 0 },
  );
}

async function breakOff(reading: Reading, error: unknown): Promise<never> {
  await reading.cut?.();
  throw error;
}
