// Ids that are read out of the names of databases: all that Gambas and we make by default come back, and what a name does not tell is not made up.

import { randomBytes, randomInt } from "node:crypto";
import { SocketAddress } from "node:net";
import { describe, expect, it } from "vitest";
import { idForSid, StoreSids } from "../../../client/express/store/sids.ts";
import { addressPrefix } from "../../../client/http/sender.ts";
import { OriginalIds } from "../../../daemon/convert/original-ids.ts";
import { mappedId } from "../../../protocol/session-id.ts";
import { newId } from "../../support/daemon/lab.ts";

const plain = new OriginalIds();

function idBack(id: string, originals = plain): string | undefined {
  return originals.of(mappedId(id)).id;
}

describe("the id of a database comes back", () => {
  it.each([
    "10.0.0.1",
    "255.255.255.255",
    "",
    "::1",
    "::",
    "2001:db8::1",
    "2001:DB8::1",
    "2001:db8::10:0:0:1",
    "2001:db8:1:2:10:0:0:1",
    "0:0:0:0:0:0:0:1",
    "64:ff9b::c000:201",
    "::ffff:10.0.0.1",
    "::ffff:a00:1",
    "0:0:0:0:0:ffff:10.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::aaaa:bbff:fecc:dddd%enp3s0",
    "fe80:0:0:0:aaaa:bbff:fecc:dddd%2",
    "unix:",
    "bob",
    "User42",
    "adopted",
    "unknown-0123456789abcdef",
  ])("of the prefix %j", (prefix) => {
    const id = newId(prefix);
    expect(idBack(id)).toBe(id);
  });

  it("of any address that Node gives a session", () => {
    for (let n = 0; n < 300; n++) {
      const bytes = randomBytes(16);
      // Runs of zeros, and groups that look like decimal ones.
      for (let at = 2; at < 16; at += 2) {
        const how = randomInt(3);
        if (how > 0) bytes[at] = 0;
        if (how > 1) bytes[at + 1] = 0;
      }
      bytes[0] = 0x20;
      const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16)).join(":");
      const { address } = new SocketAddress({ address: groups, family: "ipv6" });
      for (const text of [address, addressPrefix(groups), [...bytes.subarray(0, 4)].join(".")]) {
        const id = newId(text);
        expect(idBack(id)).toBe(id);
      }
    }
  });

  it("of sessions of express-session, whose digits tell the sid", () => {
    const sids = new StoreSids("sess");
    for (const sid of ["-_abcDEF0123456789abcDEF01234567-", "0b4e7a3c-1111-4222-8333-944445555666", "a.b ü", "plain"]) {
      const id = sids.idOf(sid);
      expect(idBack(id)).toBe(id);
    }
  });

  it("where its form is said, with letters and digits for a star", () => {
    const originals = new OriginalIds("user-*,a.b,*:*@x,10-0-0-*,é*,sid__*,sid__*_2D*");
    for (const prefix of ["user-42", "user-Anna", "a.b", "shop:7@x", "10-0-0-1", "élan", "2001:db8::1", "10.0.1.1"]) {
      const id = newId(prefix);
      expect(idBack(id, originals)).toBe(id);
    }
    // Of `genid` in the drop-in: their digits are drawn, and tell nothing.
    for (const id of ["42", "a-b"].map(idForSid)) {
      expect(idBack(id, originals)).toBe(id);
      expect(idBack(id)).toBeUndefined();
    }
  });
});

describe("the id of a database is not made up", () => {
  it.each([
    ["user-42", []],
    ["a_b", []],
    ["10.0.0.256", []],
    ["10.0.0", []],
    ["::10.0.0.1", []],
    ["fe80::1:2", ["fe80::1:2", "fe80::1%2"]],
    ["fe80::1%eth0.2", []],
    ["sess.of-another", []],
  ])("of the prefix %j, which may be %j", (prefix, readings) => {
    const name = mappedId(newId(prefix));
    expect(plain.of(name)).toEqual({ id: undefined, readings: readings.map((one) => one + name.slice(-25)) });
  });

  it("where two forms say two things", () => {
    const name = mappedId(newId("a-b"));
    expect(new OriginalIds("a-b,a.b").of(name)).toEqual({
      id: undefined,
      readings: ["a-b", "a.b"].map((one) => one + name.slice(-25)),
    });
  });

  it.each(["", "a,,b", "user 42", "a/*"])("by the form %j, which no prefix has", (forms) => {
    expect(() => new OriginalIds(forms)).toThrow(expect.objectContaining({ code: "ERR_BAD_OPTION" }));
  });
});
