// The Responses API through the official Node SDK.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { Daemon, REHEARSAL, waitFor } from "./daemon.js";
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

const ENDS = {
  "text and reasoning": ask("think: Hm\nsay: So"),
  "a refusal after text": ask("say: Well\nrefuse: I will not"),
  "two server tools, one of which fails": ask(`${rehearsal.run("echo one")}\n${rehearsal.call("no_such_tool", {})}`),
  "a call in fragments beside a server tool": ask(
    ["shape: fragments", rehearsal.run("echo one"), rehearsal.call("get_weather", { city: "Bonn" })].join("\n"),
    { tools: [WEATHER] },
  ),
  "length": ask("count: 100", { max_output_tokens: 16 }),
  "a failure in mid-stream": ask("say: So\ncut"),
};

for (const [name, request] of Object.entries(ENDS)) {
  test(`the stream helper ends as the response does: ${name}`, async () => {
    const stream = client.responses.stream(request);
    const events = [];
    stream.on("event", (event) => events.push(event));
    const final = await stream.finalResponse();
    assert.deepEqual(plain(final), plain(await client.responses.retrieve(final.id)));
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, at) => at));
    assert.equal(events.at(-1).type, `response.${final.status}`);
  });
}

/// A response without what the SDK adds.
const plain = (response) => JSON.parse(JSON.stringify(response, (key, value) => (ADDED.has(key) ? undefined : value)));
const ADDED = new Set(["output_text", "output_parsed", "parsed", "parsed_arguments"]);

test("an aborted stream ends the run", async () => {
  const stream = client.responses.stream(ask("say: So\nstall"));
  let id;
  await assert.rejects(async () => {
    for await (const event of stream) {
      id ??= event.response?.id;
      if (event.type === "response.output_text.delta") stream.abort();
    }
  }, OpenAI.APIUserAbortError);
  const kept = async () => {
    const response = await client.responses.retrieve(id).catch(() => null);
    return response?.status !== "in_progress" && response;
  };
  const { status, output } = await waitFor(kept, 5_000, "what was done is kept");
  const [{ status: itemStatus, content }] = output;
  assert.deepEqual([status, itemStatus, content[0].text], ["incomplete", "incomplete", "So"]);
});

test("a client tool goes both ways", async () => {
  const question = { role: "user", content: rehearsal.call("get_weather", { city: "Bonn" }) };
  const asked = await client.responses.stream(ask([question], { tools: [WEATHER] })).finalResponse();
  const [call] = asked.output;
  assert.deepEqual([call.type, call.name], ["function_call", "get_weather"]);
  assert.deepEqual(JSON.parse(call.arguments), { city: "Bonn" });
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

test("a stream that broke off is taken up by the helper", async () => {
  const stream = await client.responses.create(ask("count: 20 20ms", { background: true, stream: true }));
  let created;
  for await (const event of stream) {
    created ??= event.response;
    if (event.type === "response.output_text.delta") break;
  }
  const helper = client.responses.stream({ response_id: created.id, starting_after: 3 });
  const numbers = [];
  helper.on("event", (event) => numbers.push(event.sequence_number));
  const final = await helper.finalResponse();
  assert.deepEqual(numbers, numbers.map((_, at) => at + 4));
  assert.equal(final.output_text.trim().split(/\s+/).length, 20);
  assert.deepEqual(plain(final), plain(await client.responses.retrieve(final.id)));
});

test("a background response is cancelled", async () => {
  const { id, status } = await client.responses.create(ask("say: So\nstall", { background: true }));
  assert.equal(status, "queued");
  const cancelled = await client.responses.cancel(id);
  assert.equal(cancelled.status, "cancelled");
  assert.deepEqual(plain(await client.responses.retrieve(id)), plain(cancelled));
});

test("a conversation is gone on with and its items are listed page by page", async () => {
  const { id } = await client.conversations.create({ items: [{ role: "user", content: "before" }] });
  for (const word of ["one", "two"]) {
    const response = await client.responses.stream(ask(`say: ${word}`, { conversation: id })).finalResponse();
    assert.equal(response.conversation.id, id);
  }
  const texts = [];
  for await (const item of client.conversations.items.list(id, { order: "asc", limit: 2 })) {
    texts.push(item.content[0].text);
  }
  assert.deepEqual(texts, ["before", "say: one", "one", "say: two", "two"]);
  assert.equal((await client.conversations.delete(id)).deleted, true);
});

test("errors are typed", async () => {
  await assert.rejects(client.responses.create(ask("hi", { previous_response_id: "resp_none" })), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "previous_response_not_found");
    return true;
  });
  await assert.rejects(client.responses.create(ask("hi", { max_output_tokens: 0 })), OpenAI.BadRequestError);
});
