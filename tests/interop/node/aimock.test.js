// npm `@copilotkit/aimock` is the upstream: a model that no one here wrote calls nuncio's tools. In strict mode
// it answers 503 to any request its fixtures do not foresee, and it keeps every request for us to check.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { LLMock } from "@copilotkit/aimock";
import OpenAI from "openai";
import { Daemon } from "./daemon.js";
import { bodies, call, outputs, turn } from "./script.js";
import { assertPaired } from "./transcript.js";

const INSTRUCTIONS = "You are the house's own agent.";
const MAX_STEPS = 3;

let model, daemon, client;

before(async () => {
  model = await LLMock.create({ port: 0, host: "127.0.0.1", strict: true });
  const upstream = { kind: "openai_chat", api_key: "aimock-key", model: "gpt-5", retry_base_delay: "20ms" };
  const profile = { upstream: "aimock", instructions: INSTRUCTIONS };
  daemon = await Daemon.start({
    upstreams: {
      aimock: { ...upstream, base_url: `${model.url}/v1` },
      openrouter: { ...upstream, base_url: `${model.url}/api/v1` },
    },
    profiles: {
      nuncio: { ...profile, default: true },
      routed: { ...profile, upstream: "openrouter" },
      brief: { ...profile, limits: { steps: MAX_STEPS } },
    },
  });
  client = daemon.client();
});

after(async () => {
  await daemon?.stop();
  await model?.stop();
});

afterEach(() => {
  for (const { messages } of sent()) assertPaired(messages);
  model.reset();
});

/// The bodies of the model calls that aimock got in this test.
const sent = () => bodies(model);

const ask = (content, more = {}) =>
  client.chat.completions.create({ model: "nuncio", messages: [{ role: "user", content }], ...more });

async function stream(content, more = {}) {
  const chunks = [];
  for await (const chunk of await ask(content, { stream: true, ...more })) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  return {
    chunks,
    text: choices.map((choice) => choice.delta.content ?? "").join(""),
    reasoning: choices.map((choice) => choice.delta.reasoning_content ?? "").join(""),
    finish: choices.map((choice) => choice.finish_reason).filter(Boolean),
    usage: chunks.at(-1).usage,
  };
}

const calls = (body) => body.messages.flatMap((message) => message.tool_calls ?? []);
const namesOf = (toolCalls) => toolCalls.map((toolCall) => toolCall.function.name);

test("text passes through, streamed and plain, with the upstream's usage", async () => {
  const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
  model.onMessage("greet me", { content: "Good day to you, dear reader of streams.", usage });
  const streamed = await stream("greet me", { stream_options: { include_usage: true } });
  assert.equal(streamed.text, "Good day to you, dear reader of streams.");
  assert.deepEqual(streamed.finish, ["stop"]);
  assert.partialDeepStrictEqual(streamed.usage, usage);
  const plain = await ask("greet me");
  assert.equal(plain.choices[0].message.content, streamed.text);
  assert.equal(plain.model, "nuncio");
  assert.partialDeepStrictEqual(plain.usage, usage);
  assert.equal(sent().length, 2);
});

test("what the client sent reaches the model, under the house's own instructions", async () => {
  const answer = '{"seen": true}';
  model.onMessage("look", { content: answer });
  const parts = [
    { type: "text", text: "look" },
    { type: "image_url", image_url: { url: "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=", detail: "low" } },
  ];
  const fields = {
    temperature: 0.25,
    top_p: 0.5,
    max_completion_tokens: 99,
    stop: ["END"],
    seed: 7,
    presence_penalty: 0.5,
    frequency_penalty: 0.25,
    logit_bias: { 50256: -100 },
    response_format: { type: "json_object" },
    reasoning_effort: "low",
    verbosity: "low",
    user: "ann",
    metadata: { trace: "1" },
    parallel_tool_calls: false,
    service_tier: "flex",
    a_field_of_tomorrow: { deep: [1, null, "ü"] },
  };
  const messages = [{ role: "system", content: "You speak like a pirate." }, { role: "user", content: parts }];
  const completion = await client.chat.completions.create({ model: "nuncio", messages, ...fields });
  assert.equal(completion.choices[0].message.content, answer);
  const [body] = sent();
  assert.partialDeepStrictEqual(body, { model: "gpt-5", stream: true, ...fields });
  const system = body.messages.filter(({ role }) => role === "system").map(({ content }) => content).join("\n");
  assert.match(system, new RegExp(`${INSTRUCTIONS}[^]*You speak like a pirate.`));
  assert.deepEqual(body.messages.at(-1), { role: "user", content: parts });
});

test("the model writes, reads and runs in one workspace, then answers", async () => {
  const wish = "write a poem";
  model.on(turn(0, wish), {
    content: "I will write it down.",
    toolCalls: [call("write_file", { path: "poem.txt", content: "roses are red\n" })],
  });
  model.on(turn(1, wish, "poem.txt"), { toolCalls: [call("read_file", { path: "poem.txt" })] });
  const command = "wc -w < poem.txt; exit 7";
  model.on(turn(2, wish, "roses are red"), { toolCalls: [call("terminal", { command })] });
  model.on(turn(3, wish, "3"), { content: "The poem has three words." });

  const { text, finish, chunks } = await stream(wish);
  assert.match(text, /I will write it down\.[^]*The poem has three words\./);
  assert.deepEqual(finish, ["stop"]);
  assert.ok(chunks.every((chunk) => !chunk.choices[0].delta.tool_calls));
  assert.deepEqual(daemon.workspaceFiles("poem.txt"), ["roses are red\n"]);

  const bodies = sent();
  assert.equal(bodies.length, 4);
  // Each request repeats the one before and adds one call and its output.
  for (const [earlier, later] of bodies.slice(1).map((body, i) => [bodies[i], body])) {
    assert.deepEqual(later.messages.slice(0, earlier.messages.length), earlier.messages);
    assert.deepEqual(later.messages.slice(earlier.messages.length).map(({ role }) => role), ["assistant", "tool"]);
    assert.deepEqual(later.tools, earlier.tools);
  }
  assert.deepEqual(namesOf(calls(bodies[3])), ["write_file", "read_file", "terminal"]);
  assert.deepEqual(JSON.parse(calls(bodies[3])[2].function.arguments), { command });
  assert.match(outputs(bodies[3])[2].content, /7/); // the exit code
});

test("parallel calls run at the same time and go back in call order", async () => {
  // Each command waits for the file that the other one makes: one after the other would never end.
  const meet = (mine, other) => `touch ${mine}; until [ -e ${other} ]; do sleep 0.02; done; echo ${mine} met ${other}`;
  model.on(turn(0, "meet"), {
    toolCalls: [
      call("terminal", { command: `${meet("one", "two")}; sleep 0.2` }),
      call("terminal", { command: meet("two", "one") }),
      call("list_files"),
    ],
  });
  model.on(turn(3, "meet"), { content: "They met." });
  const completion = await ask("meet");
  assert.equal(completion.choices[0].message.content, "They met.");
  const bodies = sent();
  assert.equal(bodies.length, 2);
  const told = outputs(bodies[1]);
  assert.deepEqual(told.map((message) => message.tool_call_id), calls(bodies[1]).map(({ id }) => id));
  assert.match(told[0].content, /one met two/);
  assert.match(told[1].content, /two met one/);
});

test("text around tool calls arrives in order", async () => {
  model.on(turn(0, "narrate"), {
    blocks: [
      { type: "text", text: "Before. " },
      { type: "toolCall", ...call("list_files") },
      { type: "text", text: "Between. " },
      { type: "toolCall", ...call("list_files") },
    ],
  });
  model.on(turn(2, "narrate"), { content: "After." });
  const { text } = await stream("narrate");
  assert.match(text, /^Before\. Between\. \s*After\.$/);
  assert.equal(sent().length, 2);
});

test("reasoning passes on, and usage is the sum over all model calls", async () => {
  // aimock gives usage details, and a comment line before the first chunk, on its OpenRouter paths only.
  const usage = (prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens) => ({
    prompt_tokens,
    completion_tokens,
    prompt_tokens_details: { cached_tokens },
    completion_tokens_details: { reasoning_tokens },
  });
  const processing = { openRouterProcessing: true };
  model.on(turn(0, "think"), {
    reasoning: "First I should look around.",
    toolCalls: [call("list_files")],
    usage: usage(100, 10, 20, 7),
  }, processing);
  model.on(turn(1, "think"), {
    reasoning: "Now I know.",
    content: "It is empty.",
    usage: usage(150, 90, 30, 5),
  }, processing);
  const options = { model: "routed", stream_options: { include_usage: true } };
  const { text, reasoning, usage: sum } = await stream("think", options);
  assert.equal(text, "It is empty.");
  assert.match(reasoning, /^First I should look around\.\s*Now I know\.$/);
  assert.partialDeepStrictEqual(sum, { total_tokens: 300, ...usage(250, 100, 50, 12) });
  assert.equal(sent().length, 2);
});

test("a client's tool and the server's go side by side", async () => {
  const weather = call("get_weather", { city: "Bonn" });
  model.on(turn(0, "both"), { toolCalls: [call("list_files")] });
  model.on(turn(1, "both"), { toolCalls: [call("list_files"), weather] });
  // The client knows of its own call alone; the model is shown all three again.
  model.on(turn(3, "both", "rain"), { content: "It rains in Bonn." });
  const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }];
  const messages = [{ role: "user", content: "both" }];
  const first = await client.chat.completions.create({ model: "nuncio", messages, tools });
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  const { tool_calls } = first.choices[0].message;
  assert.deepEqual(namesOf(tool_calls), ["get_weather"]);
  const offered = namesOf(sent()[0].tools);
  assert.ok(["get_weather", "list_files", "terminal"].every((name) => offered.includes(name)), offered.join());

  messages.push(first.choices[0].message, { role: "tool", tool_call_id: tool_calls[0].id, content: "rain" });
  const second = await client.chat.completions.create({ model: "nuncio", messages, tools });
  assert.equal(second.choices[0].message.content, "It rains in Bonn.");
  assert.equal(sent().length, 3);
  assert.deepEqual(namesOf(calls(sent()[2])), ["list_files", "list_files", "get_weather"]);
});

test("no tools are offered to housekeeping calls, nor when the client forbids them", async () => {
  model.on({}, { content: '{"title":"A talk"}' });
  await ask("### Task:\nGenerate a concise title for the chat history.");
  await ask("hello", { tools: [] });
  assert.deepEqual(sent().map((body) => body.tools ?? []), [[], []]);
});

test("at the step limit the model is asked once more, without tools, and the answer says length", async () => {
  model.on({ predicate: (body) => !body.tools?.length || body.tool_choice === "none" }, { content: "I got half-way." });
  model.onMessage("dig", { toolCalls: [call("list_files")] });
  const { text, finish } = await stream("dig", { model: "brief" });
  assert.match(text, /I got half-way\./);
  assert.deepEqual(finish, ["length"]);
  assert.equal(sent().length, MAX_STEPS + 1);
});

test("a refused call is tried again, a stream cut midway is not", async () => {
  model.onMessage("once more", { content: "At last." });
  model.nextRequestError(429, { message: "slow down", type: "rate_limit_error" });
  assert.equal((await stream("once more")).text, "At last.");
  assert.equal(sent().length, 2);

  // aimock destroys the socket with what it had just written: the pause between chunks lets the first ones out.
  const midway = { chunkSize: 8, latency: 50, truncateAfterChunks: 4 };
  model.onMessage("cut", { content: "This sentence is cut off somewhere in its middle." }, midway);
  await assert.rejects(stream("cut"), OpenAI.APIError);
  assert.equal(sent().length, 3);
});
