// The AI SDK on the Responses API, in both versions that are in use.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createOpenAI as createOpenAI6 } from "@ai-sdk/openai";
import * as ai6 from "ai";
import * as ai7 from "ai-7";
import { createOpenAI as createOpenAI7 } from "ai-sdk-openai-7";
import { Daemon, REHEARSAL } from "./daemon.js";
import * as rehearsal from "./rehearsal.js";

globalThis.AI_SDK_LOG_WARNINGS = false;

let daemon;
before(async () => {
  daemon = await Daemon.start(REHEARSAL);
});
after(() => daemon?.stop());

const BONN = rehearsal.call("get_weather", { city: "Bonn" });
const MADE_HERE = rehearsal.run("echo made here");
const script = (...lines) => lines.join("\n");

for (const [version, ai, createOpenAI] of [
  ["6", ai6, createOpenAI6],
  ["7", ai7, createOpenAI7],
]) {
  describe(`AI SDK ${version}`, () => suite(version, ai, createOpenAI));
}

function suite(version, { generateText, jsonSchema, Output, stepCountIs, streamText, tool }, createOpenAI) {
  const request = (prompt, openai = {}) => ({
    model: createOpenAI({ baseURL: daemon.baseURL, apiKey: "none" })("nuncio"),
    prompt,
    providerOptions: { openai },
    maxRetries: 0,
  });
  const stream = async (...asked) => {
    const errors = [];
    const result = streamText({ ...request(...asked), onError: ({ error }) => errors.push(error) });
    const parts = [];
    for await (const part of result.fullStream) parts.push(part);
    return { result, parts, errors };
  };
  const properties = { city: { type: "string" } };
  const city = jsonSchema({ type: "object", properties, required: ["city"], additionalProperties: false });
  const weather = () => ({
    tools: {
      get_weather: tool({
        description: "The weather of a city.",
        inputSchema: city,
        execute: async ({ city }) => `rain in ${city}`,
      }),
    },
    stopWhen: stepCountIs(3),
  });

  test("what the server ran is a provider-executed call with its result", async () => {
    const { result, parts } = await stream(script("say: Look", MADE_HERE, rehearsal.call("no_such_tool", {})));
    const of = (type) => parts.filter((part) => part.type === type);
    assert.deepEqual(of("error"), []);
    const calls = of("tool-call").sort((one, other) => one.toolName.localeCompare(other.toolName));
    assert.deepEqual(
      calls.map(({ toolName, input, providerExecuted }) => ({ toolName, input, providerExecuted })),
      [
        { toolName: "mcp.no_such_tool", input: {}, providerExecuted: true },
        { toolName: "mcp.terminal", input: { command: "echo made here" }, providerExecuted: true },
      ],
    );
    const resultOf = (call) => of("tool-result").find((result) => result.toolCallId === call.toolCallId);
    const [failed, ran] = calls.map(resultOf);
    assert.equal(failed.output.error.type, "mcp_tool_execution_error");
    assert.match(ran.output.output, /^made here\n/);
    assert.ok(failed.providerExecuted && ran.providerExecuted);
    const pieces = of("text-delta").map((part) => part.text);
    assert.match(pieces.join(""), /^Look[^]*made here/);
    assert.ok(pieces.length > 3);
    assert.equal(await result.text, pieces.join(""));
    assert.equal(await result.finishReason, "stop");
    assert.ok((await result.usage).totalTokens > 0);
  });

  const goesBothWays = async (options) => {
    const question = script("think: Hm", "say: Look", MADE_HERE, BONN);
    const result = await generateText({ ...request(question, options), ...weather() });
    assert.equal(result.steps.length, 2);
    const [first] = result.steps;
    assert.equal(first.finishReason, "tool-calls");
    const results = first.toolResults.map(({ toolName, output }) => [toolName, output.output ?? output]);
    assert.deepEqual(Object.fromEntries(results), { "mcp.terminal": "made here\n[exit code 0]", get_weather: "rain in Bonn" });
    assert.match(result.text, /made here[^]*rain in Bonn/);
  };
  test("a client tool goes both ways, with the history sent", () => goesBothWays({ store: false }));
  test("a client tool goes both ways, with the history referred to", () => goesBothWays({}));

  test("a conversation goes on from its last response", async () => {
    const first = await generateText(request(script("say: Look", MADE_HERE)));
    const previousResponseId = first.providerMetadata.openai.responseId;
    const second = await generateText(request("echo: messages", { previousResponseId }));
    const roles = JSON.parse(second.text).map((message) => message.role);
    assert.deepEqual(roles, ["user", "assistant", "tool", "assistant", "user"]);
  });

  test("a conversation goes on by its name", async () => {
    const conversation = `project of AI SDK ${version}`;
    await generateText(request(script("say: Look", MADE_HERE), { conversation }));
    const second = await generateText(request("echo: messages", { conversation }));
    const roles = JSON.parse(second.text).map((message) => message.role);
    assert.deepEqual(roles, ["user", "assistant", "tool", "assistant", "user"]);
  });

  test("reasoning that is not in summary is passed over", async () => {
    const { result, errors } = await stream(script("think: Hm", "say: So"));
    assert.deepEqual(errors, []);
    assert.deepEqual([await result.text, (await result.usage).outputTokenDetails.reasoningTokens], ["So", 1]);
  });

  test("reasoning is shown where its summary is asked for", async () => {
    const summary = { forceReasoning: true, reasoningSummary: "auto" };
    const { result, errors } = await stream(script("think: Hm", "say: So"), summary);
    assert.deepEqual(errors, []);
    assert.deepEqual([await result.reasoningText, await result.text], ["Hm", "So"]);
  });

  test("an answer by a schema is an object", async () => {
    const output = Output.object({ schema: city });
    const result = await generateText({ ...request('say: {"city": "Bonn"}'), output });
    assert.deepEqual(result.output, { city: "Bonn" });
  });

  test("an answer that is cut or refused says so", async () => {
    const cut = await generateText({ ...request("count: 100"), maxOutputTokens: 16 });
    assert.equal(cut.finishReason, "length");
    const filtered = await generateText(request(script("say: So", "finish: content_filter")));
    assert.equal(filtered.finishReason, "content-filter");
  });

  test("a failure in mid-stream is an error", async () => {
    const { parts, errors } = await stream(script("say: So", "cut"));
    assert.equal(errors.length, 1);
    assert.ok(parts.some((part) => part.type === "text-delta" && part.text === "So"));
    assert.match(JSON.stringify(errors[0]), /broke off/);
  });
}
