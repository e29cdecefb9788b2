// Structured output through the parse helpers of the official Node SDK, which read every text as one of the form.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { makeParseableResponseFormat, makeParseableTextFormat } from "openai/lib/parser";
import { Daemon, REHEARSAL } from "./daemon.js";
import * as rehearsal from "./rehearsal.js";

const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" } },
  required: ["name"],
  additionalProperties: false,
};
const CITY = { name: "city", schema: SCHEMA, strict: true };
const onChat = makeParseableResponseFormat({ type: "json_schema", json_schema: CITY }, JSON.parse);
const onResponses = makeParseableTextFormat({ type: "json_schema", ...CITY }, JSON.parse);

const BONN = { name: "Bonn" };
const SCRIPTS = {
  "a plain answer": [`say: ${JSON.stringify(BONN)}`],
  "an answer after tools": ["say: I look.", rehearsal.run("echo one"), "then", `say: ${JSON.stringify(BONN)}`],
  "a mended answer": ["say: It is Bonn.", `mend: ${JSON.stringify(BONN)}`],
};

let daemon, client;
before(async () => {
  daemon = await Daemon.start(REHEARSAL);
  client = daemon.client();
});
after(() => daemon?.stop());

const chat = (script) => ({
  model: "nuncio",
  messages: [{ role: "user", content: script }],
  response_format: onChat,
});
const responses = (script) => ({ model: "nuncio", input: script, text: { format: onResponses } });

for (const [name, lines] of Object.entries(SCRIPTS)) {
  const script = lines.join("\n");

  test(`${name} is parsed on chat`, async () => {
    const plain = await client.chat.completions.parse(chat(script));
    const streamed = await client.chat.completions.stream(chat(script)).finalChatCompletion();
    for (const { choices } of [plain, streamed]) assert.deepEqual(choices[0].message.parsed, BONN);
  });

  test(`${name} is parsed on responses`, async () => {
    const plain = await client.responses.parse(responses(script));
    const streamed = await client.responses.stream(responses(script)).finalResponse();
    for (const response of [plain, streamed]) assert.deepEqual(response.output_parsed, BONN);
  });
}

test("an answer that stays wrong is an error", async () => {
  const wrong = (error) => error instanceof OpenAI.InternalServerError && error.code === "invalid_output_format";
  await assert.rejects(client.chat.completions.parse(chat("say: It is Bonn.")), wrong);
  await assert.rejects(client.responses.parse(responses("say: It is Bonn.")), wrong);
});
