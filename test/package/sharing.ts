// A program in a project of its own that says, as JSON, what two copies of the package have in common. Its arguments are their names; of one
// name there is one copy.

import type * as Package from "gambas-session";

const [first, second] = (await Promise.all(process.argv.slice(2).map((name) => import(name)))) as [
  typeof Package,
  typeof Package,
];

const [id, value] = await first.Session.Run({}, async () => {
  second.Session.set("n", second.typed("Float", 3));
  await second.Session.Save();
  return [second.Session.Id, first.Session.get("n")];
});

const client = await second.connect();
const handle = await client.open(id ?? "");
const { hasRecordLocks } = await client.status();
console.log(JSON.stringify({ value, stored: handle?.get("n"), type: handle?.typeOf("n"), hasRecordLocks }));
client.close();
