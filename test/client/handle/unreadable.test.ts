// Values that Gambas can hold and JavaScript cannot: one of them hides nothing else, and keeps its bytes until somebody overwrites it.
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../../client/connect.ts";
import { Session } from "../../../client/static/session.ts";
import { typed } from "../../../protocol/value/value.ts";
import { SessionHouse } from "../../support/session-house.ts";

let house: SessionHouse;

beforeAll(async () => {
  house = await SessionHouse.open();
  await connect(house.options);
});
afterAll(() => house.close());

/** Day 2 147 483 647: a date Gambas has and JavaScript has not. */
const FAR = Buffer.from([8, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]);
const shared = { n: 1 };

/** A session with such a date under "far", between two other keys. */
async function makeFar(more: Record<string, unknown>): Promise<string> {
  const id = await Session.Run({}, () => {
    Session.a = 1;
    Session.far = typed("Date", new Date(Date.UTC(2020, 0, 2)));
    Session.z = "last";
    for (const [key, value] of Object.entries(more)) Session.set(key, value);
    return Session.Id ?? "";
  });
  const image = house.fileOf(id);
  FAR.copy(image, image.indexOf(Buffer.from("far")) + 3);
  writeFileSync(house.pathOf(id), image);
  return id;
}

describe.each<[string, Record<string, unknown>]>([
  ["in a plain file", {}],
  ["in a file with shared objects", { one: shared, two: shared }],
])("a value that cannot be shown, %s", (_name, more) => {
  it("is there, has its type, and says why it cannot be read; the others can be", async () => {
    const id = await makeFar(more);
    await Session.Run({ id }, () => {
      expect(() => Session.far).toThrow(expect.objectContaining({ code: "ERR_UNREADABLE" }));
      expect(() => Session.get("far")).toThrow(/date that JavaScript cannot hold/);
      expect([Session.a, Session.z, Session.Exist("far"), Session.TypeOf("far")]).toEqual([1, "last", true, "Date"]);
      expect(Object.keys(Session)).toEqual(Session.Keys);
      expect(Session.Keys).toEqual(["a", "far", "z", ...Object.keys(more)]);
      expect(Session.Modified).toBe(false);
    });
  });

  it("keeps its bytes through saves of others", async () => {
    const id = await makeFar(more);
    await Session.Run({ id }, () => {
      Session.a = 2;
      delete Session.z;
    });
    expect(house.fileOf(id).includes(Buffer.concat([Buffer.from("far"), FAR]))).toBe(true);
    expect(await Session.Run({ id }, () => Session.a)).toBe(2);
  });

  it("can be overwritten and removed", async () => {
    const id = await makeFar(more);
    await Session.Run({ id }, () => {
      Session.far = "near";
      expect(Session.far).toBe("near");
    });
    expect(await Session.Run({ id }, () => Session.far)).toBe("near");
    const other = await makeFar(more);
    await Session.Run({ id: other }, () => {
      expect(delete Session.far).toBe(true);
      expect(Session.far).toBeUndefined();
    });
    expect(await Session.Run({ id: other }, () => [Session.far, Session.Keys.length])).toEqual([
      undefined,
      2 + Object.keys(more).length,
    ]);
  });

  it("can be overwritten after it was asked for in vain", async () => {
    const id = await makeFar(more);
    await Session.Run({ id }, async () => {
      expect(() => Session.far).toThrow();
      Session.far = new Date(0);
      expect([Session.far, Session.TypeOf("far")]).toEqual([new Date(0), "Date"]);
      await Session.Save();
      expect(Session.far).toEqual(new Date(0));
    });
  });
});
