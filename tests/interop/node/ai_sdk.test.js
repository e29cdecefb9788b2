// Vercel's AI SDK reads a stream in which the server ran a tool.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";
import { Daemon, REHEARSAL } from "./daemon.js";
import * as rehearsal from "./rehearsal.js";

let daemon;
before(async () => {
  daemon = await Daemon.start(REHEARSAL);
});
after(() => daemon?.stop());

test("a server tool's stream is text to the AI SDK", async () => {
  const provider = createOpenAICompatible({ name: "nuncio", baseURL: daemon.baseURL, includeUsage: true });
  const result = streamText({ model: provider("nuncio"), prompt: rehearsal.run("echo made here"), maxRetries: 0 });
  const parts = [];
  for await (const part of result.fullStream) parts.push(part);
  const types = new Set(parts.map((part) => part.type));
  assert.ok(!types.has("error") && !types.has("tool-call"), [...types].join());
  assert.match(await result.text, /made here/);
  assert.equal(await result.finishReason, "stop");
  assert.ok((await result.usage).totalTokens > 0);
});
