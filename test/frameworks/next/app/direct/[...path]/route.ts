// A route handler of Next.js below a server of the application's own, which has session() around everything.
import { Session } from "gambas-session";
import { cookies } from "next/headers";
import { redirect } from "next/navigation";
import { responseOf } from "../../../../apps/bodies.ts";
import { apologize, visit } from "../../../../apps/pages.ts";

async function handler(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname.endsWith("/thrown")) {
    Session.n = 1;
    (await cookies()).set("theme", "dark");
    redirect("/direct/n");
  }
  try {
    const body: unknown = request.method === "POST" ? await request.json() : undefined;
    return responseOf(await visit(pathname, body));
  } catch (error) {
    return responseOf(apologize(error));
  }
}

export { handler as GET, handler as HEAD, handler as POST };
