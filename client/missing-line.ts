// The line that an application lacks which uses `Session` outside every context, told by the framework that has called it. Pure.

/** In the order in which they are asked: NestJS stands on Express or Fastify, and whoever is nearer to the application counts. */
const LINES: readonly (readonly [framework: string, folders: RegExp, line: string])[] = [
  [
    "Fastify",
    /[\\/]node_modules[\\/](?:fastify|@nestjs[\\/]platform-fastify)[\\/]/,
    "await app.register(gambasSession)",
  ],
  ["NestJS", /[\\/]node_modules[\\/]@nestjs[\\/]/, "app.use(session())"],
  ["Express", /[\\/]node_modules[\\/](?:express|router)[\\/]/, "app.use(session())"],
  ["connect", /[\\/]node_modules[\\/]connect[\\/]/, "app.use(session())"],
  ["Koa", /[\\/]node_modules[\\/]koa(?:-compose)?[\\/]/, "app.use(gambasSession())"],
  ["Hono", /[\\/]node_modules[\\/](?:hono|@hono[\\/]node-server)[\\/]/, "app.use(gambasSession())"],
  ["Next.js", /[\\/]node_modules[\\/]next[\\/]/, "export const GET = withSession(handler)"],
  ["h3", /[\\/]node_modules[\\/](?:h3|srvx)[\\/]/, "withSession(handler)"],
];

/** What happened, for the error; undefined where no framework is among the callers. */
export function missingLine(stack: string | undefined): string | undefined {
  const found = LINES.find(([, folders]) => folders.test(stack ?? ""));
  if (found === undefined) return undefined;
  const [framework, , line] = found;
  return `Session was used outside a request. ${framework} called this code: is the line ${line} missing before it?`;
}
