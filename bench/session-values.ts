// The sessions that are measured: a realistic one of about 300 bytes and a large one with a cart of 40 items. Same keys for everybody.

export type Values = Readonly<Record<string, unknown>>;
export type SizeName = "realistic" | "large";

const REALISTIC: Values = {
  user: 4711,
  name: "Ada Lovelace",
  roles: ["editor", "author", "reviewer"],
  token: "k3vQ0pXW9mZrT7yB2nLsD5hJ8fGcA1eUoIiRw6KxVtM",
  flash: "Your changes to the article were saved.",
  visits: 17,
  balance: 129.95,
  seen: 1_717_171_717_171,
  isTrusted: true,
  locale: "de-CH",
  theme: "dark",
  last: "/articles/2024/analytical-engine",
};

const LARGE: Values = { ...REALISTIC, cart: Array.from({ length: 40 }, (_, index) => cartItem(index)) };

/** What makes a session longer. */
export const LONGER = ", with its pictures";

export const SIZES: Readonly<Record<SizeName, Values>> = { realistic: REALISTIC, large: LARGE };

/** What a session is like after `visit` more requests: two values differ, and the size where `isLong` does. */
export function changedValues(visit: number, isLong = false): { readonly visits: number; readonly flash: string } {
  const number = 1000 + (visit % 9000);
  return { visits: number, flash: `Change ${number} to the article is saved now${isLong ? LONGER : ""}.` };
}

const LOOKED_AT = 10_000;

/** @param valuesAfter what changes of a session, after so many changes of it. */
export function shareOfSizeChanges(valuesAfter: (changes: number) => Values): number {
  let differing = 0;
  for (let count = 0; count < LOOKED_AT; count++) {
    if (sizeOf(valuesAfter(count)) !== sizeOf(valuesAfter(count + 1))) differing += 1;
  }
  return differing / LOOKED_AT;
}

export function sizeOf(values: Values): number {
  return Buffer.byteLength(JSON.stringify(values));
}

function cartItem(index: number): Values {
  return {
    sku: `SKU-${String(10_000 + 37 * index)}`,
    title: `Brass gear, ${12 + index} teeth, module 0.8, for the difference engine`,
    quantity: 1 + (index % 3),
    price: 4.75 + index,
    options: { finish: index % 2 === 0 ? "polished" : "matte", isEngraved: index % 5 === 0 },
    note: "Ships within two days",
  };
}
