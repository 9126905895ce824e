// A route handler that has its session by itself: under plain `next start`, too.
import { Session } from "gambas-session";
import { withSession } from "gambas-session/fetch";

export const GET = withSession(async () => {
  await Session.Transaction(() => {
    Session.visits = Number(Session.visits ?? 0) + 1;
  });
  return new Response(`Visit ${Session.visits} of ${Session.Id}\n`);
});

export const POST = withSession(async () => {
  await Session.Abandon();
  return new Response(null, { status: 303, headers: { Location: "/visits" } });
});
