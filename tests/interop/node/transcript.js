// What must hold for every history that the daemon sends upstream.
import assert from "node:assert/strict";

/// Each tool call has one output before the next other message, each output has its call.
export function assertPaired(messages) {
  let open = [];
  for (const message of messages) {
    if (message.role === "tool") {
      assert.ok(open.includes(message.tool_call_id), `an output without its call: ${JSON.stringify(message)}`);
      open = open.filter((id) => id !== message.tool_call_id);
      continue;
    }
    assert.deepEqual(open, [], `calls without an output before ${JSON.stringify(message)}`);
    open = (message.tool_calls ?? []).map((call) => call.id);
    assert.equal(new Set(open).size, open.length, `one id twice: ${JSON.stringify(message)}`);
  }
  assert.deepEqual(open, [], "calls without an output");
}
