// The official Node SDK against the daemon with its built-in upstream.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { Daemon, REHEARSAL } from "./daemon.js";
import * as rehearsal from "./rehearsal.js";

const request = (content = "hello", more = {}) => ({
  model: "nuncio",
  messages: [{ role: "user", content }],
  ...more,
});
const errorFields = ["code", "message", "param", "type"];

let daemon, client;
before(async () => {
  daemon = await Daemon.start(REHEARSAL);
  client = daemon.client();
});
after(() => daemon?.stop());

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

test("models are listed and retrieved", async () => {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model);
  assert.deepEqual(listed.map((model) => model.id), ["nuncio"]);
  assert.deepEqual(await client.models.retrieve("nuncio"), listed[0]);
});

test("a stream says the same as a plain answer, and usage comes only when asked for", async () => {
  const plain = await client.chat.completions.create(request());
  const { message, finish_reason } = plain.choices[0];
  assert.equal(finish_reason, "stop");

  const chunks = await collect(await client.chat.completions.create(request("hello", { stream: true })));
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), message.content);
  assert.ok(chunks.every((chunk) => !chunk.usage));

  const options = { stream: true, stream_options: { include_usage: true } };
  const withUsage = await collect(await client.chat.completions.create(request("hello", options)));
  const last = withUsage.pop();
  assert.deepEqual([last.choices, last.usage], [[], plain.usage]);
  assert.equal(withUsage.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), message.content);
});

test("the stream helper gathers the answer", async () => {
  const runner = client.chat.completions.stream(request("hello", { stream_options: { include_usage: true } }));
  let seen = "";
  runner.on("content", (delta) => (seen += delta));
  const final = await runner.finalChatCompletion();
  assert.ok(seen);
  assert.equal(final.choices[0].message.content, seen);
  assert.equal(final.choices[0].finish_reason, "stop");
  assert.ok((await runner.totalUsage()).total_tokens > 0);
});

test("runTools runs the client's tool and sends its output back", async () => {
  const cities = [];
  const getWeather = {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city.",
      parse: JSON.parse,
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      function: ({ city }) => {
        cities.push(city);
        return "rain and 7 degrees";
      },
    },
  };
  for (const stream of [true, false]) {
    const question = request(rehearsal.call("get_weather", { city: "Bonn" }), { tools: [getWeather], stream });
    const answer = await client.chat.completions.runTools(question).finalContent();
    assert.match(answer, /rain and 7 degrees/);
  }
  assert.deepEqual(cities, ["Bonn", "Bonn"]);
});

test("a server tool shows as activity on valid chunks and never as a tool call", async () => {
  const question = request(rehearsal.run("echo made here | tee made.txt"), { stream: true });
  const chunks = await collect(await client.chat.completions.create(question));
  assert.match(textOf(chunks), /made here/);
  assert.ok(chunks.every((chunk) => chunk.choices[0].delta.tool_calls === undefined));
  const activity = chunks.filter((chunk) => chunk.event || chunk.item);
  assert.ok(activity.some((chunk) => chunk.event?.type === "status"));
  assert.ok(activity.some((chunk) => chunk.item?.type === "function_call_output"));
  assert.ok(activity.every((chunk) => Object.keys(chunk.choices[0].delta).length === 0));
  assert.deepEqual(daemon.workspaceFiles("made.txt"), ["made here\n"]);
});

test("the stream helper gets over activity chunks", async () => {
  const runner = client.chat.completions.stream(request(rehearsal.run("echo made here")));
  const message = await runner.finalMessage();
  assert.match(message.content, /made here/);
  assert.equal(message.tool_calls, undefined);
});

test("an image part is accepted", async () => {
  const url = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  const parts = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url } }];
  const completion = await client.chat.completions.create(request(parts));
  assert.equal(completion.choices[0].finish_reason, "stop");
});

test("failures are the SDK's typed errors with code and param", async () => {
  await assert.rejects(client.chat.completions.create({ ...request(), model: "gpt-nothing" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.deepEqual([error.code, error.param], ["model_not_found", "model"]);
    assert.deepEqual(Object.keys(error.error).sort(), errorFields);
    return true;
  });
  await assert.rejects(client.chat.completions.create(request("hello", { n: 2 })), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.type, error.param], ["invalid_request_error", "n"]);
    return true;
  });
  await assert.rejects(client.chat.completions.create(request("fail: 429 3")), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.deepEqual([error.code, error.headers.get("retry-after")], ["rate_limit_exceeded", "3"]);
    return true;
  });
  const locked = await Daemon.start(REHEARSAL, { API_SERVER_KEY: "the-right-key" });
  try {
    await assert.rejects(locked.client().models.list(), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError);
      assert.equal(error.code, "invalid_api_key");
      return true;
    });
    assert.ok((await locked.client({ apiKey: "the-right-key" }).models.list()).data.length);
  } finally {
    await locked.stop();
  }
});

test("an abort reaches the upstream's socket within a second", async (t) => {
  // Answers with `head` and holds the connection until the other side closes it.
  let head = null;
  const upstream = http.createServer((incoming, answer) => {
    incoming.resume();
    if (head !== null) {
      answer.writeHead(200, { "content-type": "text/event-stream" });
      answer.write(head);
    }
    upstream.emit("asked");
    answer.on("close", () => upstream.emit("gone", performance.now()));
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const baseURL = `http://127.0.0.1:${upstream.address().port}/v1`;
  const gateway = await Daemon.start({
    upstreams: { held: { kind: "openai_chat", base_url: baseURL, model: "held" } },
  });
  t.after(async () => {
    upstream.closeAllConnections();
    upstream.close();
    await gateway.stop();
  });

  const word = { id: "c", object: "chat.completion.chunk", created: 1, model: "held" };
  word.choices = [{ index: 0, delta: { role: "assistant", content: "word" }, finish_reason: null }];
  for (const says of [null, `data: ${JSON.stringify(word)}\n\n`]) {
    for (const stream of [true, false]) {
      head = says;
      const asked = once(upstream, "asked");
      const gone = once(upstream, "gone");
      const controller = new AbortController();
      const options = { signal: controller.signal };
      const answer = gateway.client().chat.completions.create(request("hello", { stream }), options);
      // The SDK ends an aborted stream in silence, and rejects an aborted plain request.
      const ended = answer.then((body) => stream && collect(body)).catch((error) => error);
      await asked;
      const abortedAt = performance.now();
      controller.abort();
      const [goneAt] = await gone;
      assert.ok(goneAt - abortedAt < 1000, `${goneAt - abortedAt} ms`);
      await ended;
    }
  }
});
