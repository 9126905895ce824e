// What the example sells, and what an order of it costs. Knows nothing of sessions.

export interface Dish {
  readonly name: string;
  readonly about: string;
  readonly cents: number;
}

/** By the key a dish has in the cart. */
export const MENU: ReadonlyMap<string, Dish> = new Map([
  ["ajillo", { name: "Gambas al ajillo", about: "prawns, garlic, a little chilli", cents: 950 }],
  ["pan", { name: "Pan con tomate", about: "toast, ripe tomato, olive oil", cents: 380 }],
  ["bravas", { name: "Patatas bravas", about: "potatoes, smoky sauce", cents: 620 }],
  ["horchata", { name: "Horchata", about: "tiger nuts, cold", cents: 290 }],
]);

/** At most so many of one dish. */
export const MAX_QUANTITY = 99;

/** Quantities of the dishes of the menu. */
export type Cart = Readonly<Record<string, number>>;

/** The quantities in a stored cart, of dishes on the menu only: other programs may have put anything there. */
export function cartOf(stored: unknown): Cart {
  if (typeof stored !== "object" || stored === null) return {};
  const quantities = stored as Readonly<Record<string, unknown>>;
  const known = [...MENU.keys()].map((key) => [key, quantities[key]] as const);
  return Object.fromEntries(known.filter((entry): entry is [string, number] => isQuantity(entry[1])));
}

export function totalCents(cart: Cart): number {
  return Object.entries(cart).reduce((sum, [key, quantity]) => sum + quantity * (MENU.get(key)?.cents ?? 0), 0);
}

export function formatCents(cents: number): string {
  return `€ ${(cents / 100).toFixed(2)}`;
}

function isQuantity(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value > 0;
}
