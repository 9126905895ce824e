// A route handler of Next.js with withSession(): the pages of all frameworks.
import { Session } from "gambas-session";
import { withSession } from "gambas-session/fetch";
import { cookies } from "next/headers";
import { redirect } from "next/navigation";
import { responseOf } from "../../../../apps/bodies.ts";
import { OPTIONS, visit } from "../../../../apps/pages.ts";

const handler = withSession(
  async (request: Request, { params }: { params: Promise<{ path: string[] }> }) => {
    const name = (await params).path.at(-1);
    if (name === "thrown") {
      Session.n = 1;
      (await cookies()).set("theme", "dark");
      redirect("/fetch/n");
    }
    const body: unknown = request.method === "POST" ? await request.json() : undefined;
    return responseOf(await visit(name, body));
  },
  { ...OPTIONS, address: () => "127.0.0.1" },
);

export { handler as GET, handler as HEAD, handler as POST };
