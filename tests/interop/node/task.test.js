// A whole task from the prompt to its effects: aimock plays a model that searches, fetches, writes, runs, mends and hands
// work on. It is asked for through chat and through Responses, and what is left in the workspace and shown on the wire must
// be the same.
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { LLMock } from "@copilotkit/aimock";
import { Daemon } from "./daemon.js";
import { bodies, call, outputs, turn } from "./script.js";
import { assertPaired } from "./transcript.js";

const WISH = "count the words";
const TASK = "Write report.md from result.txt.";
const USAGE = { prompt_tokens: 10, completion_tokens: 1, total_tokens: 11 };

const BROKEN = "echo run >> runs.log\nwc -w < missing.txt > result.txt\n";

/// What the lead calls, one a step, and what the model must be told of the call before it goes on.
const steps = (site) => [
  [call("search_files", { pattern: "words in" }), "Count the words in text.txt"],
  [call("fetch_url", { url: `${site}/rules` }), "Count with **wc**."],
  [call("write_file", { path: "count.sh", content: BROKEN }), "count.sh"],
  [call("terminal", { command: "sh count.sh" }), "[exit code"],
  [call("read_file", { path: "count.sh" }), "missing.txt"],
  [call("edit_file", { path: "count.sh", old_string: "missing.txt", new_string: "text.txt" }), "count.sh"],
  [call("terminal", { command: "sh count.sh && cat result.txt" }), "5"],
  [call("delegate", { profile: "helper", task: TASK }), "The report is written."],
  [call("read_file", { path: "report.md" }), "There are five words."],
  [call("list_files"), "report.md"],
];

const HELP = [
  [call("read_file", { path: "result.txt" }), "5"],
  [call("write_file", { path: "report.md", content: "There are five words.\n" }), "report.md"],
];

const LEFT = {
  "brief.md": "Count the words in text.txt.\n",
  "text.txt": "one two three four five\n",
  "count.sh": BROKEN.replace("missing.txt", "text.txt"),
  "runs.log": "run\nrun\n",
  "result.txt": "5\n",
  "report.md": "There are five words.\n",
};

let model, daemon, client, folder, site, STEPS;
const fetched = [];

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "nuncio-task-"));
  for (const api of ["chat", "responses"]) {
    fs.mkdirSync(path.join(folder, api));
    for (const name of ["brief.md", "text.txt"]) fs.writeFileSync(path.join(folder, api, name), LEFT[name]);
  }
  site = http.createServer((request, response) => {
    fetched.push(request.url);
    response.setHeader("content-type", "text/html").end("<h1>Rules</h1><p>Count with <b>wc</b>.</p>");
  });
  await once(site.listen(0, "127.0.0.1"), "listening");
  STEPS = steps(`http://127.0.0.1:${site.address().port}`);
  model = await LLMock.create({ port: 0, host: "127.0.0.1", strict: true });
  const upstream = { kind: "openai_chat", base_url: `${model.url}/v1`, api_key: "aimock-key", model: "gpt-5" };
  const lead = (api) => ({ instructions: "You lead.", workspace: path.join(folder, api), delegates: ["helper"] });
  daemon = await Daemon.start({
    upstreams: { default: upstream },
    tools: { fetch_url: { allow: ["127.0.0.1"] } },
    profiles: { chat: lead("chat"), responses: lead("responses"), helper: { instructions: "You help." } },
  });
  client = daemon.client();
  script(WISH, STEPS, "There are five words, as the report says.");
  script(TASK, HELP, "The report is written.");
});

after(async () => {
  await daemon?.stop();
  await model?.stop();
  site?.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

function script(wish, steps, answer) {
  steps.forEach(([toolCall], at) => {
    model.on(turn(at, wish, steps[at - 1]?.[1]), { toolCalls: [toolCall], usage: USAGE });
  });
  model.on(turn(steps.length, wish, steps.at(-1)[1]), { content: answer, usage: USAGE });
}

/// Through chat: what the cards of the stream show of the calls, the answer, and the usage.
async function throughChat() {
  const stream = await client.chat.completions.create({
    model: "chat",
    messages: [{ role: "user", content: WISH }],
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), ["stop"]);
  assert.ok(choices.every((choice) => !choice.delta.tool_calls));
  const cards = chunks.map((chunk) => chunk.item).filter(Boolean);
  const output = (callId) => cards.find((card) => card.type === "function_call_output" && card.call_id === callId);
  return {
    calls: cards.filter((card) => card.type === "function_call").map((card) => ({
      name: card.name,
      arguments: JSON.parse(card.arguments),
      output: output(card.call_id).output[0].text,
    })),
    answer: choices.map((choice) => choice.delta.content ?? "").join(""),
    usage: chunks.at(-1).usage,
    lines: chunks.map((chunk) => chunk.event?.data.description).filter(Boolean),
  };
}

/// The same through Responses.
async function throughResponses() {
  const response = await client.responses.stream({ model: "responses", input: WISH }).finalResponse();
  assert.equal(response.status, "completed");
  assert.deepEqual(response.output.map(({ type }) => type), [...STEPS.map(() => "mcp_call"), "message"]);
  const { input_tokens, output_tokens, total_tokens } = response.usage;
  return {
    calls: response.output.slice(0, -1).map((item) => {
      assert.partialDeepStrictEqual(item, { server_label: "nuncio", status: "completed", error: null });
      return { name: item.name, arguments: JSON.parse(item.arguments), output: item.output };
    }),
    answer: response.output_text,
    usage: { prompt_tokens: input_tokens, completion_tokens: output_tokens, total_tokens },
  };
}

/// Every file of a workspace with its content.
const filesOf = (api) =>
  Object.fromEntries(
    fs.readdirSync(path.join(folder, api)).map((name) => [name, fs.readFileSync(path.join(folder, api, name), "utf8")]),
  );

test("a task of ten steps has the same effects through chat and through Responses", async () => {
  const chat = await throughChat();
  const asked = bodies(model);
  const responses = await throughResponses();

  for (const api of ["chat", "responses"]) assert.deepEqual(filesOf(api), LEFT, api);
  assert.deepEqual(fetched, ["/rules", "/rules"]);
  assert.deepEqual(responses.calls, chat.calls);
  assert.equal(responses.answer, chat.answer);
  assert.equal(chat.answer, "There are five words, as the report says.");
  assert.deepEqual(chat.calls.map(({ name, arguments: args }) => ({ name, arguments: args })), STEPS.map(([step]) => step));
  STEPS.forEach(([, told], at) => assert.ok(chat.calls[at].output.includes(told), chat.calls[at].output));

  // The model was asked the same both times: one call a step and one to answer, of the lead and of its helper.
  const modelCalls = STEPS.length + 1 + HELP.length + 1;
  assert.equal(asked.length, modelCalls);
  const again = bodies(model).slice(modelCalls);
  assert.deepEqual(again.map(outputs).map((all) => all.map(({ content }) => content)), asked.map(outputs).map((all) => all.map(({ content }) => content)));
  for (const { messages } of bodies(model)) assertPaired(messages);
  const sum = Object.fromEntries(Object.entries(USAGE).map(([key, tokens]) => [key, tokens * modelCalls]));
  assert.partialDeepStrictEqual(chat.usage, sum);
  assert.deepEqual(responses.usage, sum);

  // What the helper does shows as what the call of the lead does.
  const helped = chat.lines.filter((line) => line.startsWith("delegate: "));
  const expected = [`helper: ${TASK}`, "helper: read_file result.txt", "helper: write_file report.md"];
  assert.deepEqual(helped, expected.map((line) => `delegate: ${line}`));
});
