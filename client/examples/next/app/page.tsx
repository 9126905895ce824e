// Below server.ts pages and their actions have the session of their request.
import { Session } from "gambas-session";
import { redirect } from "next/navigation";

/** Next.js does not know that this page is another one for everybody. */
export const dynamic = "force-dynamic";

async function keep(form: FormData): Promise<void> {
  "use server";
  Session.name = String(form.get("name"));
  redirect("/");
}

export default function Page() {
  return (
    <form action={keep}>
      <p>Hello {String(Session.name ?? "stranger")}!</p>
      <input name="name" aria-label="Your name" />
      <button type="submit">Keep</button>
    </form>
  );
}
