// The Responses API through the official Node SDK.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { Daemon, REHEARSAL } from "./daemon.js";
import * as rehearsal from "./rehearsal.js";

const WEATHER = {
  type: "function",
  name: "get_weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  strict: false,
};

let daemon, client;
before(async () => {
  daemon = await Daemon.start(REHEARSAL);
  client = daemon.client();
});
after(() => daemon?.stop());

const ask = (input, more = {}) => ({ model: "nuncio", input, ...more });

test("the stream helper gathers the response that is kept", async () => {
  const script = ["think: Hm", "say: Look", rehearsal.run("echo one"), rehearsal.run("echo two"), "then", "say: Fine"];
  const stream = client.responses.stream(ask(script.join("\n")));
  let seen = "";
  stream.on("response.output_text.delta", (event) => (seen += event.delta));
  const final = await stream.finalResponse();
  assert.equal(seen, "LookFine");
  assert.equal(final.output_text, seen);
  assert.deepEqual(final.output.map((item) => item.type), ["reasoning", "message", "mcp_call", "mcp_call", "message"]);
  const kept = await client.responses.retrieve(final.id);
  const ids = (response) => response.output.map((item) => item.id);
  assert.deepEqual([ids(kept), kept.usage, kept.status], [ids(final), final.usage, "completed"]);
  assert.equal(kept.output_text, seen);
});

test("a client tool goes both ways", async () => {
  const question = { role: "user", content: rehearsal.call("get_weather", { city: "Bonn" }) };
  const asked = await client.responses.stream(ask([question], { tools: [WEATHER] })).finalResponse();
  const [call] = asked.output;
  assert.deepEqual([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "get_weather", { city: "Bonn" }]);
  const output = { type: "function_call_output", call_id: call.call_id, output: "rain" };
  const more = { previous_response_id: asked.id, tools: [WEATHER] };
  const followed = await client.responses.create(ask([output], more));
  assert.match(followed.output_text, /rain/);
});

test("input items are listed page by page", async () => {
  const items = ["a", "b", "c"].map((content) => ({ role: "user", content }));
  const { id } = await client.responses.create(ask([...items, { role: "user", content: "say: Hello" }]));
  const texts = [];
  for await (const item of client.responses.inputItems.list(id, { limit: 2 })) texts.push(item.content[0].text);
  assert.deepEqual(texts, ["say: Hello", "c", "b", "a"]);
});

test("errors are typed", async () => {
  await assert.rejects(client.responses.create(ask("hi", { previous_response_id: "resp_none" })), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "previous_response_not_found");
    return true;
  });
  await assert.rejects(client.responses.create(ask("hi", { background: true })), OpenAI.BadRequestError);
});
