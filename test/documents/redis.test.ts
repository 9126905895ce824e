// What the pages say about Redis: URLs that can be read, and rights that are those that are asked for.

import { expect, test } from "vitest";
import { neededRights } from "../../daemon/redis/server/rights.ts";
import { parseRedisUrl } from "../../protocol/redis-url.ts";
import { readPages } from "./pages.ts";

const pages = readPages();

test("every URL of a Redis in the pages is one", () => {
  const urls = pages.flatMap(({ text }) =>
    [...text.matchAll(/(?<=[`"=])(?:rediss?(?:\+sentinel)?|unix):\/\/[^`"\s…]+/g)].map(([url]) => url),
  );
  expect(urls.length).toBeGreaterThan(10);
  const bad = urls.filter((url) => {
    try {
      parseRedisUrl(url.replace(/USER|HOST|PATH/g, "x"));
      return false;
    } catch {
      return true;
    }
  });
  // Only the scheme is meant.
  expect(bad.filter((url) => !/:\/\/$/.test(url))).toEqual([]);
});

test("the rights on the page for many hosts are those that a user needs", () => {
  const page = pages.find(({ path }) => path === "daemon/HOSTS.md");
  const [plain, cluster, database] = [[false, false] as const, [true, false] as const, [false, true] as const].map(
    ([isCluster, hasDatabase]) => neededRights(["gs:", "gs!"], isCluster, hasDatabase),
  ) as [string, string, string];
  expect(page?.text).toContain(`ACL SETUSER sessions on >PASSWORD ${plain}\n`);
  expect(page?.text).toContain(`\`${database.replace(plain, "").trim()}\``);
  expect(page?.text).toContain(`\`${cluster.replace(plain, "").trim()}\``);
});
