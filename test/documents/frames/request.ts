import type { Request, Response } from "express";
import { type Handle, Session, SessionError, connect, session, sessionOf, typed } from "gambas-session";

export async function answer(req: Request, res: Response, handle: Handle): Promise<void> {
// block
}
